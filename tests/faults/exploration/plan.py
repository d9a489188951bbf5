"""Which schedules there are: whatever may break at each place that a tracing run has visited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sagaworks.ledger.points import Point
from tests.faults.exploration.run import HELD_OPEN, Verdict
from tests.faults.exploration.schedule import (
    COMMANDS,
    MARKS,
    OF_A_COMMAND,
    OF_A_COMMIT,
    POINTS,
    SWEEP,
    TAKES_AWAY,
    THE_COMMIT,
    Fault,
    Kind,
    Place,
    Schedule,
)

_CUT_AT: Final = {Point.BEGIN, *HELD_OPEN}

_ITS_JOB_IS_GONE: Final = {Point.REPORTED, Point.MARK, Point.MARKED}


def singles(trace: Verdict, kind: str) -> list[Schedule]:
    """Return every schedule of one fault on a path, on a kind of database."""
    path = trace.schedule.path
    return [
        Schedule(path, (Fault(place, what),))
        for place in trace.visited
        for what in faults_at(place, kind)
    ]


def pairs(first: Verdict) -> list[Schedule]:
    """Return every schedule that lets a run with one fault meet a crash after it."""
    [fault] = first.schedule.faults
    return [
        Schedule(first.schedule.path, (fault, Fault(place, Kind.CRASH)))
        for place in first.visited[first.first :]
        if place.at in POINTS
    ]


def faults_at(place: Place, kind: str) -> Iterator[Kind]:
    """Give what may happen at a place."""
    if place.at in COMMANDS:
        yield from OF_A_COMMAND
    elif place.at == THE_COMMIT:
        yield from OF_A_COMMIT
    else:
        yield from _at_a_point(place, POINTS[place.at], kind)


def _at_a_point(place: Place, point: Point, kind: str) -> Iterator[Kind]:
    yield Kind.CRASH
    yield Kind.ZOMBIE_DURING
    # Nobody ends the transaction of an SQLite writer that sleeps: the others wait for it.
    if point not in HELD_OPEN or kind != "sqlite":
        yield Kind.ZOMBIE_AFTER
        yield Kind.ZOMBIE_LAST
    if point in _CUT_AT:
        yield Kind.CUT
    if point is Point.BEGIN:
        yield Kind.AWAY
    if place.task == MARKS or place.task.startswith(SWEEP) or point in _ITS_JOB_IS_GONE:
        return
    yield Kind.MOVED
    yield Kind.RESTORED
    if place.task == "charge_card":
        yield Kind.OVERDUE
        yield Kind.TAKEN
    # A pivot has no undo: what a cancel leaves of it is listed for a person.
    if place.task not in {"confirm_order", "ship_stock"}:
        yield Kind.CRASH_CANCELED
        yield Kind.CANCELED


def may_be_followed(schedule: Schedule) -> bool:
    """Say whether a crash after this one fault tells something new."""
    kinds = [fault.kind for fault in schedule.faults]
    return len(kinds) == 1 and kinds[0] in {Kind.CRASH, *TAKES_AWAY}
