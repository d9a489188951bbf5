"""How long a job may wait for company: a part of what the engine lately takes to answer."""

from typing import Final

_PART: Final = 0.1
"""Of the time that an answer takes. Under full load it's the engine's queue, through which the next
job has to go as well, so that nobody is kept waiting for long by what is a tenth of it."""

_LONGEST: Final = 0.05

_SHORTEST: Final = 0.005
"""Seconds below which a timer costs more than company is worth."""

_NEWEST: Final = 0.1
"""The weight of the newest answer in the mean."""


class Patience:
    """How long a job may wait for others of its kind, before one of them has a free thread begin.

    An engine under full load takes a quarter of a second for an answer, one at ease a few
    milliseconds (measured: docs/decisions/0080); so at less than full load nobody waits.
    """

    def __init__(self) -> None:
        """Begin without an answer, and without patience."""
        self._mean = 0.0

    @property
    def seconds(self) -> float:
        """How long, now."""
        seconds = min(_LONGEST, _PART * self._mean)
        return seconds if seconds >= _SHORTEST else 0.0

    def heard(self, seconds: float) -> None:
        """Note how long the engine took to accept an answer."""
        self._mean += _NEWEST * (seconds - self._mean)
