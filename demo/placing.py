"""Places the orders or trips, so many at once, and watches until each has come to its end."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from demo.errors import StuckError
from demo.live import Progress, View
from demo.people import Meet
from demo.plan import PlannedSaga
from demo.readings import Readings
from demo.sagas import PLACE_ORDER, AnyPlan, DemoSaga
from sagaworks import SagaworksError
from sagaworks.settings import Settings
from sagaworks.start import Starter

PROCESS: Final = PLACE_ORDER.process

LANES: Final = 8
"""Orders that are being handed to the engine at the same moment."""

IN_FLIGHT: Final = 100
"""Orders that may be under way at once; more wouldn't be done sooner, only wait longer."""

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at the workers' counts."""

ASK_BOOKS_EVERY: Final = 5.0
"""Seconds without an end by the workers' counts, after which the books are asked."""

SHOWN_IF_STUCK: Final = 5


class Placing:
    """One run over all orders of a plan.

    Args:
        check: raises if a process that the orders need has ended.
        patience: seconds without an order coming to its end until the run is given up.
        saga: which of the two it is.
    """

    def __init__(  # noqa: PLR0913  the last two are rarely given
        self,
        plan: AnyPlan,
        settings: Settings,
        readings: Readings,
        *,
        check: Callable[[], None],
        patience: float = 60.0,
        saga: DemoSaga = PLACE_ORDER,
    ) -> None:
        """Place nothing yet."""
        self.saga = saga
        self.plan = plan
        self.settings = settings
        self.readings = readings
        self.check = check
        self.patience = patience
        self.progress = Progress(len(plan.orders), saga)
        self.taken = 0
        self.looked = asyncio.Event()

    async def run(self, show: View) -> Progress:
        """Place all orders and wait for the end of each.

        Raises:
            StuckError: nothing came to an end for too long.
            SagaworksError: a saga couldn't be started, a worker has ended or doesn't answer.
        """
        asyncio.get_running_loop().set_exception_handler(_but_not_of_ctrl_c)
        try:
            async with (
                Starter(self.saga.first, self.settings) as starter,
                self.saga.people(self.settings) as meet,
                asyncio.TaskGroup() as tasks,
            ):
                waiting = iter(self.plan.orders)
                for _ in range(LANES):
                    tasks.create_task(self._lane(starter, waiting, meet, tasks))
                tasks.create_task(self._watch(show))
        except* SagaworksError as group:
            raise _first(group) from None
        return self.progress

    async def _lane(
        self,
        starter: Starter,
        waiting: Iterator[PlannedSaga],
        meet: Meet,
        tasks: asyncio.TaskGroup,
    ) -> None:
        for one in waiting:
            while self.taken - self.progress.ended >= IN_FLIGHT:
                await self.looked.wait()
            self.taken += 1
            await starter.start(self.saga.process, key=one.key, variables=one.variables)
            self.progress.started += 1
            tasks.create_task(_met(meet, one))

    async def _watch(self, show: View) -> None:
        """Look, show, and let the lanes go on, until all orders have ended."""
        ended, since, asked = 0, time.monotonic(), time.monotonic()
        while self.progress.ended < self.progress.total:
            await asyncio.sleep(LOOK_EVERY)
            await self._look(show)
            now = time.monotonic()
            if self.progress.ended != ended:
                ended, since, asked = self.progress.ended, now, now
            elif now - since > self.patience:
                await asyncio.to_thread(self._give_up)
                return
            elif now - asked > ASK_BOOKS_EVERY and self.progress.started == self.progress.total:
                if not await asyncio.to_thread(self._unfinished):
                    return
                asked = now

    async def _look(self, show: View) -> None:
        self.check()
        try:
            self.progress.counts = await asyncio.to_thread(self.readings.jobs)
        except SagaworksError:
            self.check()
            raise
        show(self.progress)
        self.looked.set()
        self.looked.clear()

    def _give_up(self) -> None:
        """Raise, unless the counts are behind and the books know better."""
        stuck = self._unfinished()
        if not stuck:
            return
        shown = "".join(f"\n  {key}: {self._last_seen(key)}" for key in stuck[:SHOWN_IF_STUCK])
        message = (
            f"{len(stuck)} {self.saga.things} haven't moved for {self.patience:.0f} s, among them"
        )
        raise StuckError(f"{message}{shown}")

    def _unfinished(self) -> list[str]:
        """Ask the books: no job is counted for what a reconciler has undone."""
        return self.saga.unfinished(self.readings, (one.key for one in self.plan.orders))

    def _last_seen(self, key: str) -> str:
        services = sorted(self.saga.services)
        entries = [entry for service in services for entry in self.readings.ledger(service, key)]
        if not entries:
            return "no service has heard of it"
        last = max(entries, key=lambda entry: str(entry["at"]))
        return f"{last['step']} {last['event']} at {last['at']}"


async def _met(meet: Meet, one: PlannedSaga) -> None:
    """Let the people do their part; a task group wants a coroutine."""
    await meet(one)


def _but_not_of_ctrl_c(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tell of an exception that nobody retrieved, unless it's what ends the demo anyway."""
    if not isinstance(context.get("exception"), KeyboardInterrupt):
        loop.default_exception_handler(context)


def _first(group: BaseExceptionGroup[SagaworksError]) -> SagaworksError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
