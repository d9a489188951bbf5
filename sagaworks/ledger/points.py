"""The moments of a job's life at which its worker may die, so that a test can let it die there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from sagaworks.saga import JobKey


class Point(StrEnum):
    """Where an execution of a step or compensation may be cut off, in the order it gets there.

    A refusal begins and commits a second time; a remote step commits its intent first, and calls
    between its two commits.
    """

    RECEIVED = "job received"
    BEGIN = "before BEGIN"
    CLAIMED = "after the claim"
    EFFECT = "after the effect"
    COMMIT = "before COMMIT"
    CALL = "before the call"
    CALLED = "after the call"
    COMMITTED = "after COMMIT"
    """Nothing is said to the engine yet."""
    REPORTED = "after the report"
    """Its answer isn't seen yet."""
    MARKED = "after the mark"
    """Marks go in batches, so this one is reached without a job."""


Hook = Callable[[Point, JobKey | None], None]
"""Told of each point, on the thread that reaches it; what it raises is raised there."""

_hooks: Final[list[Hook]] = []


def reached(point: Point, job: JobKey | None = None) -> None:
    """Say that an execution has got so far; nothing but tests listens."""
    for hook in _hooks:
        hook(point, job)


@contextmanager
def hooked(hook: Hook) -> Iterator[None]:
    """Tell `hook` of every point, in every thread, for as long as the block lasts."""
    _hooks.append(hook)
    try:
        yield
    finally:
        _hooks.remove(hook)
