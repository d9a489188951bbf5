"""How fast jobs are done, and so how many of them may be taken at once."""

import math
from typing import Final

_TOGETHER: Final = 0.05
"""Seconds that a group may be expected to take: it keeps its rows until its commit."""

_NEWEST: Final = 0.1
"""The weight of the newest job in the mean."""


class Pace:
    """The pace of one task's jobs.

    Args:
        most: jobs in a group.
    """

    def __init__(self, most: int) -> None:
        """Begin without a measurement: until there is one, nothing is taken in advance."""
        self._most = most
        self._allowed = most
        self._mean = 0.0

    @property
    def portion(self) -> int:
        """How many jobs a group may have now."""
        return max(1, min(self._allowed, math.floor(self.fitting(_TOGETHER))))

    def fitting(self, seconds: float) -> float:
        """Return how many jobs, one after another, fit into a time."""
        return seconds / self._mean if self._mean else 0.0

    def measure(self, seconds: float) -> None:
        """Note how long a job took."""
        self._mean = seconds if not self._mean else self._mean + _NEWEST * (seconds - self._mean)

    def broke(self) -> None:
        """Halve the groups to come: what breaks one, a deadlock for instance, comes in numbers."""
        self._allowed = max(1, self._allowed // 2)

    def went_well(self) -> None:
        """Let the next group be larger by one."""
        self._allowed = min(self._most, self._allowed + 1)
