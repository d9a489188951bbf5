"""The way of one saga as the engine has recorded it, and the marks it leaves on the diagram."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from sagaworks.picture.paint import Mark, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sagaworks.diagram import Diagram, Undo
    from sagaworks.history import Element, Instance, Job, Known
    from sagaworks.saga import ElementKey

Fate = Literal["done", "undone", "running", "stuck", "cancelled"]
"""What became of a saga. Stuck is one that a person must look at; cancelled, one that was ended."""

FLOW: Final = "SEQUENCE_FLOW"
BODY: Final = "MULTI_INSTANCE_BODY"
"""Has the id of what it runs once for each item, so only these count."""

WORST_FIRST: Final[Sequence[State]] = (
    "in_doubt",
    "stuck",
    "waiting",
    "refused",
    "taken_away",
    "undone",
    "done",
)
"""Which state an element is shown in that ran several times."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of an element.

    Attributes:
        element: its id in the diagram.
        kind: the engine's type, such as ``SERVICE_TASK``.
        began, ended: milliseconds of the engine's clock; `ended` is None while it runs.
        code: of the error that was thrown.
        incident: the engine's type of it, such as ``JOB_NO_RETRIES``, while it's open.
    """

    element: str
    kind: str
    state: State
    began: int
    ended: int | None
    code: str = ""
    incident: str = ""

    @property
    def is_task(self) -> bool:
        """Whether somebody works there, or it calls another process."""
        return self.kind.endswith("TASK") or self.kind == "CALL_ACTIVITY"

    @property
    def takes_time(self) -> bool:
        """Whether a saga stays there, rather than passing through."""
        return self.is_task or self.kind.endswith(("CATCH_EVENT", "SUB_PROCESS"))


@dataclass(frozen=True)
class Way:
    """What one saga went through.

    Attributes:
        runs: of elements, the process itself left out, in the order in which they began.
        flows: how often each was taken.
        undone: how often each compensation path was taken.
        incidents: element, the engine's type and whether it's resolved, of each.
        backward: ids of what is passed only to undo.
    """

    instance: Instance
    fate: Fate
    runs: Sequence[Run]
    flows: Mapping[str, int] = field(default_factory=dict)
    undone: Mapping[Undo, int] = field(default_factory=dict)
    incidents: Sequence[tuple[str, str, bool]] = ()
    backward: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """Whose way it is, and what became of it, for people."""
        named = self.instance.business_key or str(self.instance.key)
        open_ones = (f"{run.incident} at {run.element}" for run in self.runs if run.incident)
        return ", ".join([f"{named}: {self.fate}", *open_ones])


def read_way(told: Known, diagram: Diagram | None = None) -> Way:
    """Return the way of a process instance.

    Args:
        told: what history knows of it.
        diagram: its own. With it, what a saga passes only to undo is painted so.
    """
    back = backward(diagram) if diagram else frozenset()
    runs = [*_Reading(told, back).runs()]
    flows = Counter(one.id for one in told.elements if one.kind == FLOW)
    undone = Counter(
        (one.thrown_by or "", one.element) for one in told.undoings if one.last == "COMPLETED"
    )
    incidents = [(one.element, one.kind, one.resolved) for one in told.incidents]
    return Way(told.instance, _fate(told), runs, flows, undone, incidents, back)


def paint_way(way: Way) -> dict[str, Mark]:
    """Return the marks of a way: each task numbered in the order they began; flows taken, too."""
    by_element: dict[str, list[Run]] = {}
    numbers: dict[str, int] = {}
    for run in way.runs:
        by_element.setdefault(run.element, []).append(run)
        if run.is_task:
            numbers.setdefault(run.element, len(numbers) + 1)
    elements = {id_: _mark(runs, numbers.get(id_)) for id_, runs in by_element.items()}
    return {**{id_: _flow_mark(way, id_) for id_ in way.flows}, **elements}


def _flow_mark(way: Way, id_: str) -> Mark:
    times = way.flows[id_]
    return Mark(
        "undone" if id_ in way.backward else "done", f"{times} times" if times > 1 else None
    )


def _mark(runs: Sequence[Run], number: int | None) -> Mark:
    state = next(one for one in WORST_FIRST if any(run.state == one for run in runs))
    shown = next(run for run in runs if run.state == state)
    if len(runs) > 1:
        alike = sum(run.state == state for run in runs)
        times = f"{alike} of {len(runs)}" if alike < len(runs) else f"{len(runs)} times"
        return Mark(state, f"{times} {shown.code}".strip())
    label = f"{number or ''} {shown.code or 'incident' * bool(shown.incident)}".strip()
    return Mark(state, label or None)


class _Reading:
    """From element instances to runs: each with what became of it."""

    def __init__(self, told: Known, back: frozenset[str]) -> None:
        self.told = told
        self.jobs: dict[ElementKey, Job] = {job.element_instance: job for job in told.jobs}
        self.stuck = {i.element_instance: i.kind for i in told.incidents if not i.resolved}
        self.undone = {u.element_instance for u in told.undoings if u.last == "COMPLETED"}
        # A list is undone as one: its subscription names the body, not the runs in it.
        bodies = {one.key for one in told.elements if one.kind == BODY}
        self.undone |= {
            one.key for one in told.elements if one.scope in bodies and one.scope in self.undone
        }
        self.handlers = {u.handler_instance for u in told.undoings if u.handler_instance}
        self.backward = back

    def runs(self) -> Iterator[Run]:
        found = [one for one in self.told.elements if one.kind not in (FLOW, BODY)]
        for one in sorted(found, key=lambda one: (one.began, one.key)):
            job = self.jobs.get(one.key)
            thrown = job is not None and job.last == "ERROR_THROWN"
            code = job.error_code if job and thrown else ""
            incident = self.stuck.get(one.key, "") if one.ended is None else ""
            state = self._state(one, thrown=thrown)
            yield Run(one.id, one.kind, state, one.began, one.ended, code, incident)

    def _state(self, one: Element, *, thrown: bool) -> State:
        if one.ended is None:
            return "stuck" if one.key in self.stuck else "waiting"
        # An end event that throws an error is terminated by it, and never completes (measured).
        reached = one.last == "ELEMENT_COMPLETED" or one.kind == "END_EVENT"
        if not reached:
            return "refused" if thrown else "taken_away"
        is_back = one.key in self.handlers or one.key in self.undone or one.id in self.backward
        return "undone" if is_back or one.event == "COMPENSATION" else "done"


def backward(diagram: Diagram) -> frozenset[str]:
    """Return the ids of event sub-processes that undo, and of all that is drawn in them."""
    scopes = {diagram.elements[id_].scope for id_ in diagram.throws if id_ in diagram.elements}
    undoing = scopes & diagram.event_sub_processes
    inside = {one.id for one in diagram.elements.values() if one.scope in undoing}
    flows = {flow.id for flow in diagram.flows if flow.source in inside}
    return frozenset(undoing | inside | flows)


def _fate(told: Known) -> Fate:
    if told.instance.ended is None:
        return "stuck" if any(not one.resolved for one in told.incidents) else "running"
    if told.instance.last == "ELEMENT_TERMINATED":
        return "cancelled"
    return "undone" if any(map(_throws_compensation, told.elements)) else "done"


def _throws_compensation(element: Element) -> bool:
    is_throw = element.kind in ("INTERMEDIATE_THROW_EVENT", "END_EVENT")
    return is_throw and element.event == "COMPENSATION" and element.last == "ELEMENT_COMPLETED"


def undone_beside(entries: Sequence[Mapping[str, object]]) -> set[str]:
    """Return the ids of elements that were undone, by whomever: the engine needn't know it.

    Args:
        entries: of a trail, as the services' ledgers tell them.
    """
    done = Counter(str(entry["element"]) for entry in entries if entry["event"] == "executed")
    undone = Counter(str(entry["element"]) for entry in entries if entry["event"] == "undone")
    return {id_ for id_, times in undone.items() if times >= done[id_]}


def in_doubt(entries: Iterable[Mapping[str, object]]) -> set[str]:
    """Return the ids of elements whose effect stands, and it isn't known if the engine counts it.

    Args:
        entries: of a trail, as the services' ledgers tell them.
    """
    return {str(entry["element"]) for entry in entries if entry.get("in_doubt")}
