"""Where jobs wait for the worker that takes them: one stream, or a worker's next poll."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from sagaworks.testing.faults.fault import Answered

if TYPE_CHECKING:
    from sagaworks.testing.faults.jobs import Delivery
    from sagaworks.testing.faults.link import Link


class Outlet:
    """A way for jobs of one type to one worker; whoever touches it holds the wire's lock.

    Args:
        job_type: of its jobs.
        link: the worker's.
        streams: whether it's a stream; the other kind waits for the next poll.

    Attributes:
        waiting: not taken yet, the first to go first.
        open: whether somebody reads from it, or may.
        polls: how many polls wait for its jobs.
        answer: how the engine ended it.
        asking: the poll that the engine hasn't answered yet.
    """

    def __init__(self, job_type: str, link: Link, *, streams: bool) -> None:
        self.job_type = job_type
        self.link = link
        self.streams = streams
        self.waiting: deque[Delivery] = deque()
        self.open = True
        self.polls = 0
        self.asking: Any = None
        self.answer: Answered | None = None

    @property
    def is_read(self) -> bool:
        """Whether a job that comes now is taken at once."""
        return self.open and (self.streams or self.polls > 0)

    def take(self, most: int) -> list[Delivery]:
        """Take at most so many that wait."""
        return [self.waiting.popleft() for _ in range(min(most, len(self.waiting)))]

    def end(self, answer: Answered | None = None) -> None:
        """Take in nothing any more."""
        self.open = False
        self.answer = answer
