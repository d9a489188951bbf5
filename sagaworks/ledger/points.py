"""The moments of a job's life at which its worker may die, so that a test can let it die there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from sagaworks.saga import JobKey


class Point(StrEnum):
    """Where an execution of a step or compensation may be cut off, in the order it gets there.

    A refusal begins and commits a second time; a remote step commits its intent first, and calls
    between its two commits. A report that is sent once more is counted by one more commit. A group
    of jobs begins and commits without a job, beside what each of its jobs reaches.
    """

    RECEIVED = "job received"
    BEGIN = "before BEGIN"
    ASK = "before the engine is asked"
    """Only where the rows alone don't decide."""
    CLAIMED = "after the claim"
    EFFECT = "after the effect"
    COMMIT = "before COMMIT"
    CALL = "before the call"
    CALLED = "after the call"
    COMMITTED = "after COMMIT"
    """Nothing is said to the engine yet."""
    REPORTED = "after the report"
    """Its answer isn't seen yet."""
    MARK = "before the mark"
    """Marks go in batches, so this one and the next are reached without a job."""
    MARKED = "after the mark"


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
