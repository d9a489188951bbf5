"""What a test marked `whatever_breaks` runs under: nothing, then each fault, each death."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from sagaworks.ledger.points import Point
from sagaworks.step import RemoteCompensation, RemoteStep, Step

if TYPE_CHECKING:
    from sagaworks.testing.faults.faults import Faults

_OF_A_CALL: Final = frozenset({Point.CALL, Point.CALLED})
_OF_A_TRANSACTION: Final = frozenset({Point.CLAIMED, Point.EFFECT})
_OF_MARKS: Final = frozenset({Point.MARK, Point.MARKED})
_OF_THE_LEDGER: Final = _OF_A_CALL | _OF_A_TRANSACTION | _OF_MARKS | {Point.BEGIN, Point.COMMIT}


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that breaks.

    Attributes:
        name: as in the test's id.
        arrange: lets it happen, once to every job.
        why_not: says why it can't have happened to these services, or None if it can.
    """

    name: str
    arrange: Callable[[Faults], object]
    why_not: Callable[[Faults], str | None] = lambda _: None


def kinds() -> list[Kind]:
    """Return all of them, that nothing breaks first."""
    return [
        Kind("nothing", lambda _: None),
        Kind("delivered-twice", lambda faults: faults.deliver_twice()),
        Kind("delivered-at-once", lambda faults: faults.deliver_at_once()),
        Kind("delivered-late", lambda faults: faults.deliver_late()),
        Kind("under-another-key", lambda faults: faults.deliver_under_another_key()),
        Kind("report-lost", lambda faults: faults.lose_report()),
        Kind("reply-lost", lambda faults: faults.lose_reply()),
        # A job that nothing has happened to isn't asked for.
        *(_death_at(point) for point in Point if point is not Point.ASK),
    ]


def _death_at(point: Point) -> Kind:
    name = f"dies-{point.replace(' ', '-')}"
    return Kind(name, lambda faults: faults.crash(point), partial(_why_nobody_dies, point))


def _why_nobody_dies(point: Point, faults: Faults) -> str | None:
    if not faults.mortals:
        return (
            "a point inside Sagaworks' own runtime, and zeebe.work runs none of its workers here;"
            " the wire's faults apply to workers of any kind"
        )
    services = [mortal.service for mortal in faults.mortals]
    tasks = [
        task
        for service in services
        for task in (*service.steps.values(), *service.compensations.values())
    ]
    if any(_reaches(task, point) for task in tasks):
        return None
    return f"no step or compensation of these services gets to {point}"


def _reaches(task: object, point: Point) -> bool:
    if isinstance(task, Step) and task.kind == "read_only":
        return point not in _OF_THE_LEDGER
    if isinstance(task, (RemoteStep, RemoteCompensation)):
        return point not in _OF_A_TRANSACTION
    return point not in _OF_A_CALL
