"""One ledger row and one arriving job, as plain values."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Row as DatabaseRow
from sqlalchemy import RowMapping

from sagaworks.errors import Halt
from sagaworks.saga import ElementKey, JobKey, SagaKey

WITHDRAWN: Final = JobKey(-1)
"""Stands in `undone_by` where the effect is undone because the engine has taken it away."""


class State(StrEnum):
    """What a ledger row says of its execution."""

    CLAIM = "claim"
    """Inserted, the effect not done; seen only inside its own transaction."""
    INTENT = "intent"
    """A remote step is about to call, or has called, its partner."""
    OPEN = "open"
    """The effect is there and not undone."""
    REFUSED = "refused"
    UNDONE = "undone"
    FENCE = "fence"
    """A compensation came and found nothing to undo."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger row."""

    id: int
    step: str
    each: str
    round: int
    state: State
    process_instance: SagaKey
    element_instance: ElementKey
    jobs: tuple[JobKey, ...]
    loop_counter: int | None
    inputs: str
    request: bytes | None
    answer: bytes | None
    throw_accepted: bool
    undone_by: JobKey | None
    """The compensation job that has undone it, or, while the row is open, is about to; `WITHDRAWN`
    where there is none."""

    @property
    def is_free(self) -> bool:
        """Whether it's open and no compensation job is about to undo it."""
        return self.is_open and self.undone_by is None

    @property
    def is_open(self) -> bool:
        """Whether an effect is there, or may be there, and isn't undone."""
        return self.state in (State.OPEN, State.INTENT)

    @property
    def job(self) -> JobKey:
        """The job that holds the row now."""
        return self.jobs[-1]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A job as it arrives at the ledger.

    Attributes:
        step: the step's name; for a compensation job the step it undoes.
        names: the step's name and its former one.
        each: which run of a loop or multi-instance; empty where the step declares none, None where
            it declares one and the job doesn't carry it (a compensation).
        inputs: digest of the step's variables.
        undo_all: the compensation handler's header ``undo: all``.
        taken_over: other code carried the step out before, so an effect may have no row.
        undone_by_hand: a person says so of this saga's step: no row, no effect.
    """

    tenant: str
    saga_key: str
    process_instance: SagaKey
    process_id: str
    step: str
    names: tuple[str, ...]
    job: JobKey
    element: str
    element_instance: ElementKey
    each: str | None = ""
    loop_counter: int | None = None
    inputs: str = ""
    start_digest: str | None = None
    undo_all: bool = False
    taken_over: bool = False
    undone_by_hand: bool = False


def entry_of(row: DatabaseRow[tuple[object, ...]]) -> Entry:
    """Return a row of the ledger table as a value.

    Raises:
        Halt: it's damaged, or of a version that this one doesn't know.
    """
    found = row._mapping  # noqa: SLF001  SQLAlchemy's public way to a row by column names
    try:
        state, jobs = State(found["state"]), jobs_of(found["jobs"])
    except ValueError as error:
        raise Halt(_why_damaged(found, error)) from None
    return Entry(
        id=found["id"],
        step=found["step"],
        each=found["each"],
        round=found["round"],
        state=state,
        process_instance=SagaKey(found["process_instance"]),
        element_instance=ElementKey(found["element_instance"]),
        jobs=jobs,
        loop_counter=found["loop_counter"],
        inputs=found["inputs"],
        request=found["request"],
        answer=found["answer"],
        throw_accepted=found["throw_accepted"],
        undone_by=found["undone_by"],
    )


def jobs_of(column: str) -> tuple[JobKey, ...]:
    """Return the jobs that a row names.

    Raises:
        ValueError: the column holds anything else.
    """
    try:
        return tuple(JobKey(int(job)) for job in json.loads(column))
    except (TypeError, ValueError):
        raise ValueError("its jobs aren't a list of keys") from None


def _why_damaged(found: RowMapping, error: ValueError) -> str:
    return (
        f"row {found['id']} of the ledger ({found['step']} of {found['saga_key']!r}) can't be read:"
        f" {error}. It is damaged, or a later version of Sagaworks wrote it: restore the row, or"
        " upgrade this worker, and retry the incident"
    )
