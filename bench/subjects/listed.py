"""Everything that is measured, in the order of the tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Load = Literal["open", "saturated"]
Kind = Literal["sagaworks", "pyzeebe", "bare", "bare-group", "no-op"]

BOTH: Final[tuple[Load, ...]] = ("open", "saturated")


@dataclass(frozen=True)
class Subject:
    """One way to carry out the same saga.

    Attributes:
        what: for the tables' legend.
        loads: what it is measured under, in this order.
        environ: further settings of its processes.
        longer: seconds that it needs more than others until a saturated load is steady.
        drains: its sagas end soon after the load; what doesn't is left behind.
        has_history: its workers are told where the engine's history is.
    """

    name: str
    kind: Kind
    what: str
    loads: tuple[Load, ...] = BOTH
    environ: Mapping[str, str] = field(default_factory=dict)
    longer: float = 0.0
    drains: bool = True
    has_history: bool = False


SUBJECTS: Final = (
    Subject(
        "pyzeebe-defaults",
        "pyzeebe",
        "plain pyzeebe as installed: 32 running jobs a task, polls only; an inbox row",
        longer=2.0,
        drains=False,
    ),
    Subject(
        "pyzeebe-polling",
        "pyzeebe",
        "pyzeebe tuned (2000 running jobs, 200 a poll, 15 s locks, 16 threads), polls only",
        loads=("open",),
    ),
    Subject("pyzeebe-tuned", "pyzeebe", "the same with streaming"),
    Subject(
        "sagaworks",
        "sagaworks",
        "Sagaworks as installed: under backlog jobs of one step share a transaction",
    ),
    Subject(
        "sagaworks-ungrouped",
        "sagaworks",
        "Sagaworks, each job in a transaction of its own",
        loads=("saturated",),
        environ={"SAGAWORKS_GROUP": "0"},
    ),
    Subject(
        "sagaworks-with-history",
        "sagaworks",
        "Sagaworks with its reconciler at work: it has the engine's history to ask",
        loads=("saturated",),
        has_history=True,
    ),
    Subject(
        "sagaworks-without-ledger",
        "sagaworks",
        "for the bench only: Sagaworks' runtime, the ledger left out",
        loads=("saturated",),
        environ={"BENCH_LEDGER": "none"},
    ),
    Subject(
        "bare-step",
        "bare",
        "the least that a step costs in Python: the no-op with each step's own transaction",
    ),
    Subject(
        "bare-group",
        "bare-group",
        "the least that groups: jobs of a step share a transaction and a statement for inbox rows",
        loads=("saturated",),
    ),
    Subject(
        "no-op",
        "no-op",
        "nobody does anything: the engine's ceiling",
    ),
)

BY_NAME: Final = {subject.name: subject for subject in SUBJECTS}
