"""An engine's lives: restored or wiped, it goes back in its positions and writes something else."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sagaworks.history.records import Record

FIRST: Final = 1
"""The number of the life that history saw first."""


class Mark(NamedTuple):
    """What tells one record from another at the same position."""

    key: int
    intent: str
    at: int

    @classmethod
    def of(cls, record: Record) -> Mark:
        """Return the mark of a record."""
        return cls(record["key"], record["intent"], record["timestamp"])


class Meeting(enum.Enum):
    """What a record is to who has seen others of its partition."""

    NEW = enum.auto()
    REPEAT = enum.auto()
    NEW_LIFE = enum.auto()


def meet(record: Record, last: int, newest: int, known: Mark | None) -> Meeting:
    """Decide what a record is.

    At a position that was passed, another record, or one written later than all that was seen, is
    of an engine that was put back. Which kinds are sent may change, so that a position nobody
    knows proves nothing by itself.

    Args:
        record: the one that came.
        last: the highest position seen in its partition; -1 before the first.
        newest: the latest time seen there, in the engine's milliseconds.
        known: the mark of the record kept at its position, if one is.
    """
    if record["position"] > last:
        return Meeting.NEW
    if known is not None:
        return Meeting.REPEAT if known == Mark.of(record) else Meeting.NEW_LIFE
    return Meeting.NEW_LIFE if record["timestamp"] > newest else Meeting.REPEAT


class Lives:
    """The lives of one partition: which position belongs to which.

    What an engine had done before the copy it was restored from was made is common to both lives.
    """

    def __init__(self, began: Iterable[int] = (0,)) -> None:
        """Take the positions at which each life began, the first one's first."""
        self._began = [*began]

    @property
    def present(self) -> int:
        """The present life's number, from 1."""
        return len(self._began)

    def open(self, position: int) -> None:
        """Begin a new life at this position."""
        self._began.append(position)

    def has(self, life: int, position: int) -> bool:
        """Tell whether what was seen there in that life holds in the present one too."""
        end = self.end_of(life)
        return end is None or position < end

    def end_of(self, life: int) -> int | None:
        """Return the position from which on a life's records hold no more; None: they all do."""
        return min(self._began[life:], default=None)
