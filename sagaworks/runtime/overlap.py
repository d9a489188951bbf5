"""How many threads keep one interpreter busy: as many as the time of a hand is of its CPU time."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

_FEWEST: Final = 2
_MOST: Final = 6
"""More of them leave nothing to gather (measured: docs/decisions/0039)."""

_FORGETS: Final = 1.005
"""By how much each hand raises what was seen: from the fewest threads to the most in about 200."""

_SHARE: Final = 0.7
"""Of the interpreter that hands may have; the rest is the event loop's."""


class Overlap:
    """How many hands of one task are worth having at work at once.

    While one waits for its database, others compute: N = U * (1 + waiting / computing), for one
    processor of which the share U may be used (Goetz and others, *Java Concurrency in Practice*,
    8.2). Further ones wait for the interpreter's lock, which looks like the database's doing; so
    what counts is the hand that lately waited least.
    """

    def __init__(self) -> None:
        """Begin with few: that they are too few is seen for certain, too many aren't."""
        self._ratio = _FEWEST / _SHARE

    @property
    def threads(self) -> int:
        """How many there may be now."""
        return min(_MOST, max(_FEWEST, round(_SHARE * self._ratio)))

    def measure(self, whole: float, computing: float) -> None:
        """Note a hand's seconds, and those of CPU time among them."""
        grown = min(_MOST / _SHARE, self._ratio * _FORGETS)
        self._ratio = min(grown, whole / computing) if computing else grown

    def measured(self, work: Callable[[], T]) -> T:
        """Do the work of a hand, on its thread, and measure it."""
        began, computed = time.perf_counter(), time.thread_time()
        try:
            return work()
        finally:
            self.measure(time.perf_counter() - began, time.thread_time() - computed)
