"""Whether a test can let a worker die before everything that it does to the world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sagaworks.ledger.points import Point
from tests.faults.exploration.schedule import COMMANDS, THE_COMMIT, Place

_BEFORE: Final = {
    THE_COMMIT: {Point.COMMIT, Point.MARK},
    "UpdateJobTimeout": {Point.ASK},
    "CompleteJob": {Point.COMMITTED, Point.REPORTED, Point.COMMIT},
    "ThrowError": {Point.COMMITTED, Point.REPORTED, Point.COMMIT},
}
"""The point that stands right before each; a failure may be told from anywhere."""


def unhooked(visited: Iterable[Place]) -> Iterator[str]:
    """Give each commit and each call to the engine that no point stands right before.

    Args:
        visited: by one worker at a time, in order.
    """
    last: Place | None = None
    for place in visited:
        if place.at == THE_COMMIT or place.at in COMMANDS:
            wanted = {point.replace(" ", "-") for point in _BEFORE.get(place.at, set(Point))}
            if last is None or last.at not in wanted:
                yield f"{place} comes after {last}, with no point between them"
        last = place
