"""Whose job is it: the locks that the engine gave, seen from here."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sagaworks.saga import JobKey
from sagaworks.step import Compensation, Step

_WINDOW: Final = 30.0
"""Seconds after which an observation of the engine's clock is forgotten: clocks are set."""


class LockClock:
    """Tells how much of a job's lock is left, whatever the engine's wall clock says.

    A job's deadline is the engine's wall clock plus the lock. A fresh job shows how far that clock
    is ahead of ours (deadline - lock - now); one that waited shows less. So the largest value seen
    lately is the truth, and the difference to it is how long a job waited on its way here.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Measure with `now`, in seconds, which only goes forward."""
        self._now = now
        self._ahead = self._ahead_before = -math.inf
        self._since = now()

    def left(self, deadline_ms: int, lock: float) -> float:
        """Return the seconds left of a lock of `lock` seconds, and learn from it."""
        now = self._now()
        begun = deadline_ms / 1000 - lock
        self._learn(begun - now, now)
        return begun + lock - now - max(self._ahead, self._ahead_before)

    def _learn(self, ahead: float, now: float) -> None:
        if now - self._since > _WINDOW:
            self._ahead_before, self._ahead, self._since = self._ahead, -math.inf, now
        self._ahead = max(self._ahead, ahead)


@dataclass(slots=True, eq=False)
class HeldJob:
    """A job in this worker's hands.

    Attributes:
        job: the engine's message (pyzeebe's ``ActivatedJob``).
        task: what it asks for.
        key: the job's.
        expires: when its lock ends, in seconds of `time.monotonic`.
        begun: a thread has taken it up; until then its lock isn't extended.
        lost: the engine said that it isn't ours any more.
        given_up: the worker stops before its step has ended; the step mustn't commit any more.
        reported: something was sent about it, which may have arrived.
        has_place: it counts among the jobs that the worker has room for.
    """

    job: Any
    task: Step[..., Any] | Compensation[Any]
    expires: float
    extended: float = field(default_factory=time.monotonic)
    begun: bool = False
    lost: bool = False
    given_up: bool = False
    reported: bool = False
    has_place: bool = True
    key: JobKey = field(init=False)

    def __post_init__(self) -> None:
        """Read the key once: each look into the engine's message costs more than a field."""
        self.key = JobKey(self.job.key)

    @property
    def left(self) -> float:
        """Seconds until the lock ends."""
        return self.expires - time.monotonic()

    def held(self) -> bool:
        """Say whether nothing speaks against the job being ours."""
        return not (self.lost or self.given_up)
