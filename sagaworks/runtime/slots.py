"""How many jobs a worker has in hand at once."""

import asyncio
from collections import deque


class Slots:
    """Places for jobs, given out in the order they were asked for.

    Attributes:
        count: how many places there are.
        taken: how many are in use; more than `count` for a while after a `resize`.
    """

    def __init__(self, count: int) -> None:
        """Begin with `count` free places."""
        self.count = count
        self.taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def free(self) -> int:
        """How many places are free."""
        return max(0, self.count - self.taken)

    async def room(self) -> None:
        """Return once a place is free, without taking it."""
        await self._room.wait()

    async def take(self) -> None:
        """Take a place, after everybody who asked before."""
        if self.taken < self.count and not self._waiting:
            self._change(+1)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            raise

    def take_more(self, most: int) -> int:
        """Take up to `most` further places that are free right now; return how many."""
        more = 0 if self._waiting else max(0, min(most, self.free))
        self._change(+more)
        return more

    def give(self, count: int = 1) -> None:
        """Give places back."""
        for _ in range(count):
            self._change(-1)
            self._pass_on()

    def resize(self, count: int) -> None:
        """Have `count` places from now on; those in use stay in use."""
        if count != self.count:
            self.count = count
            self._change(0)
            self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting and self.taken < self.count:
            turn = self._waiting.popleft()
            if not turn.done():
                self._change(+1)
                turn.set_result(None)

    def _change(self, by: int) -> None:
        self.taken += by
        if self.taken < self.count:
            self._room.set()
        else:
            self._room.clear()
