"""What is to break in one run, and where; each schedule has a name that repeats it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from sagaworks.ledger.points import Point

MARKS: Final = "marks"
"""Stands for the task where a point has no job."""

SWEEP: Final = "sweep"
"""Stands for the task where a reconciler is at work."""

THE_COMMIT: Final = "the-commit"
"""Stands for a point where it's the driver's COMMIT itself that is met."""

COMMANDS: Final = ("CompleteJob", "ThrowError", "FailJob", "UpdateJobTimeout")
"""What a worker says to the engine about a job."""

POINTS: Final = {point.replace(" ", "-"): point for point in Point}


class Kind(StrEnum):
    """What may happen at a place."""

    CRASH = "crash"
    """The worker dies."""
    MOVED = "crash-and-moved"
    """It dies, and the job comes again under another key: an operator has moved the token."""
    RESTORED = "crash-and-restored"
    """It dies, and the job comes again under an older key: a restored engine's keys repeat."""
    OVERDUE = "crash-and-overdue"
    """It dies, and the timer takes the job away before anybody else gets it."""
    CRASH_CANCELED = "crash-and-canceled"
    """It dies, and an operator cancels the saga, so that nobody gets the job any more."""
    TAKEN = "timer-fires"
    """The timer takes the job away from a worker that goes on."""
    CANCELED = "canceled"
    """An operator cancels the saga under a worker that goes on."""
    ZOMBIE_DURING = "zombie-wakes-during"
    """The worker freezes, its lock ends; it wakes while another begins with the job."""
    ZOMBIE_AFTER = "zombie-wakes-after"
    """It wakes when another has carried out the job; the server has ended its transaction."""
    ZOMBIE_LAST = "zombie-wakes-last"
    """It wakes when the saga has ended."""
    CUT = "connection-cut"
    """The connection to the database is lost."""
    AWAY = "database-away"
    """The database can't be reached for as long as the worker tries by itself."""
    LOST = "command-lost"
    """The engine never gets it."""
    ANSWER_LOST = "answer-lost"
    """The engine does it; what it says is lost."""
    LATE = "command-late"
    """It hangs on its way, and arrives just before the next worker's answer."""
    RESENT = "command-resent"
    """The gateway sends it twice, and gives the second reply."""
    UNKNOWN_DONE = "commit-done-answer-lost"
    UNKNOWN_UNDONE = "commit-lost"


OF_A_CRASH: Final = (Kind.CRASH, Kind.MOVED, Kind.RESTORED, Kind.OVERDUE, Kind.CRASH_CANCELED)
TAKES_AWAY: Final = (Kind.OVERDUE, Kind.CRASH_CANCELED, Kind.TAKEN, Kind.CANCELED)
OF_A_ZOMBIE: Final = (Kind.ZOMBIE_DURING, Kind.ZOMBIE_AFTER, Kind.ZOMBIE_LAST)
OF_A_COMMAND: Final = (Kind.LOST, Kind.ANSWER_LOST, Kind.LATE, Kind.RESENT)
OF_A_COMMIT: Final = (Kind.UNKNOWN_DONE, Kind.UNKNOWN_UNDONE)


@dataclass(frozen=True, slots=True)
class Place:
    """The n-th time in a run that a task gets somewhere.

    Attributes:
        task: the step's or compensation's name; of a mark, `MARKS`.
        at: a point, a command, or `THE_COMMIT`.
    """

    task: str
    at: str
    nth: int

    def __str__(self) -> str:
        """Name it."""
        return f"{self.task}@{self.at}.{self.nth}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name.

        Raises:
            ValueError: it's none.
        """
        task, _, rest = text.partition("@")
        at, _, nth = rest.rpartition(".")
        if at not in {*POINTS, *COMMANDS, THE_COMMIT}:
            raise ValueError(f"{text!r} is no place such as charge_card@after-COMMIT.1")
        return cls(task, at, int(nth))


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at one place."""

    place: Place
    kind: Kind

    def __str__(self) -> str:
        """Name it."""
        return f"{self.place}={self.kind}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """One run: the way that the order takes, and what breaks on it."""

    path: str
    faults: tuple[Fault, ...] = ()

    def __str__(self) -> str:
        """Name it: ``shipped:charge_card@after-COMMIT.1=crash``."""
        return f"{self.path}:{','.join(map(str, self.faults))}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name.

        Raises:
            ValueError: it's none.
        """
        path, _, rest = text.partition(":")
        named = (one.partition("=") for one in rest.split(",") if one)
        return cls(path, tuple(Fault(Place.parse(place), Kind(kind)) for place, _, kind in named))
