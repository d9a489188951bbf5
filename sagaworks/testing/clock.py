"""The engine's clock, moved so that everything on the way happens in its order."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sagaworks.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagaworks.testing.agenda import Due
    from sagaworks.testing.engines import EngineUnderTest
    from sagaworks.testing.feed import Feed

_FIRES_WITHIN: Final = 10.0
"""Seconds. A timer has been seen to fire 0.6 s after the clock had passed it."""

_JOB_TAKES_AT_MOST: Final = 5.0
"""Seconds of real time that a job in hand may take before the clock moves on without it."""

_SETTLES_WITHIN: Final = 60.0


class Clock:
    """Moves the clock of one test's engine.

    Args:
        engine: whose clock.
        feed: what has happened.
        served: the job types that somebody works on in this test.
        hanging: the keys of jobs that stubs will never answer.
    """

    def __init__(
        self,
        engine: EngineUnderTest,
        feed: Feed,
        served: Callable[[], set[str]],
        hanging: Callable[[], set[int]],
    ) -> None:
        """Move nothing yet."""
        self._served = served
        self._engine = engine
        self._feed = feed
        self._hanging = hanging

    def advance(self, by: timedelta) -> None:
        """See `Zeebe.advance`."""
        if by < timedelta(0):
            raise EngineError("an engine's clock only goes forward")
        if not self._engine.moves_clock:
            raise EngineError(f"the clock of {self._engine.name} can't be moved")
        self.settle()
        until = self._engine.now() + by // timedelta(milliseconds=1)
        ended: set[int] = set()
        while due := self._next(until, ended):
            if due.kind == "lock":
                ended.add(due.key)
            self._move_to(due.at)
            self._await(due)
            self.settle()
        self._move_to(until)
        self.settle()

    def settle(self) -> None:
        """See `Zeebe.settle`."""
        until = time.monotonic() + _SETTLES_WITHIN
        while time.monotonic() < until:
            self._engine.settle()
            seen = self._feed.changes()
            self._feed.wait_for(self._nothing_in_hand, _JOB_TAKES_AT_MOST)
            self._engine.settle()
            if self._feed.wait_for_quiet(self._engine.quiet, _JOB_TAKES_AT_MOST) and (
                self._feed.changes() == seen
            ):
                return
        raise EngineError(
            f"the engine is still busy after {_SETTLES_WITHIN:g} s: does a saga loop?"
        )

    def _nothing_in_hand(self) -> bool:
        """A job that will soon be taken counts as taken."""
        agenda = self._feed.agenda
        jobs = agenda.jobs_in_hand() | agenda.jobs_offered(self._served())
        return not jobs - self._hanging()

    def _next(self, until: int, ended: set[int]) -> Due | None:
        """A job's lock is awaited once: a worker that never answers takes the job for ever."""
        for due in self._feed.agenda.all():
            if due.at <= until and not (due.kind == "lock" and due.key in ended):
                return due
        return None

    def _move_to(self, at: int) -> None:
        millis = at - self._engine.now()
        if millis > 0:
            self._engine.move_clock(millis)

    def _await(self, due: Due) -> None:
        """Quiet alone proves nothing: it may come before the engine has looked at its clock."""
        if not self._feed.wait_for(lambda: not self._feed.agenda.has(due), _FIRES_WITHIN):
            raise EngineError(f"{due} was due and has not fired within {_FIRES_WITHIN:g} s")
