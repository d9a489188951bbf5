"""Places the orders, so many at once, and watches until each has come to its end."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from demo.books import unfinished
from demo.errors import StuckError
from demo.live import STEPS, Progress, View
from demo.plan import Fate, Plan, PlannedOrder
from demo.readings import Readings
from demo.seed import approve
from sagaworks import SagaworksError
from sagaworks.settings import Settings
from sagaworks.start import Starter
from workers.orders import orders

PROCESS: Final = "place_order"

LANES: Final = 8
"""Orders that are being handed to the engine at the same moment."""

IN_FLIGHT: Final = 100
"""Orders that may be under way at once; more wouldn't be done sooner, only wait longer."""

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at the workers' counts."""

HOLDER_TAKES: Final = 1.5
"""Seconds until a late holder approves."""

SHOWN_IF_STUCK: Final = 5


class Placing:
    """One run over all orders of a plan.

    Args:
        check: raises if a process that the orders need has ended.
        patience: seconds without an order coming to its end until the run is given up.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        readings: Readings,
        *,
        check: Callable[[], None],
        patience: float = 60.0,
    ) -> None:
        """Place nothing yet."""
        self.plan = plan
        self.settings = settings
        self.readings = readings
        self.check = check
        self.patience = patience
        self.progress = Progress(len(plan.orders))
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
            async with Starter(orders, self.settings) as starter, asyncio.TaskGroup() as tasks:
                waiting = iter(self.plan.orders)
                for _ in range(LANES):
                    tasks.create_task(self._lane(starter, waiting, tasks))
                tasks.create_task(self._watch(show))
        except* SagaworksError as group:
            raise _first(group) from None
        return self.progress

    async def _lane(
        self, starter: Starter, waiting: Iterator[PlannedOrder], tasks: asyncio.TaskGroup
    ) -> None:
        for order in waiting:
            while self.taken - self.progress.ended >= IN_FLIGHT:
                await self.looked.wait()
            self.taken += 1
            await starter.start(PROCESS, key=order.key, variables=order.variables)
            self.progress.started += 1
            if order.fate is Fate.LATE:
                tasks.create_task(self._approve_later(order.card))

    async def _approve_later(self, card: str) -> None:
        await asyncio.sleep(HOLDER_TAKES)
        await asyncio.to_thread(approve, self.settings, card)

    async def _watch(self, show: View) -> None:
        """Look, show, and let the lanes go on, until all orders have ended."""
        ended, since = 0, time.monotonic()
        while self.progress.ended < self.progress.total:
            await asyncio.sleep(LOOK_EVERY)
            await self._look(show)
            if self.progress.ended != ended:
                ended, since = self.progress.ended, time.monotonic()
            elif time.monotonic() - since > self.patience:
                await asyncio.to_thread(self._give_up)
                return

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
        placed = [order.key for order in self.plan.orders]
        stuck = unfinished(self.readings, placed)
        if not stuck:
            return
        shown = "".join(f"\n  {key}: {self._last_seen(key)}" for key in stuck[:SHOWN_IF_STUCK])
        message = f"{len(stuck)} orders haven't moved for {self.patience:.0f} s, among them"
        raise StuckError(f"{message}{shown}")

    def _last_seen(self, key: str) -> str:
        services = sorted({step.service.name for step in STEPS})
        entries = [entry for service in services for entry in self.readings.ledger(service, key)]
        if not entries:
            return "no service has heard of it"
        last = max(entries, key=lambda entry: str(entry["at"]))
        return f"{last['step']} {last['event']} at {last['at']}"


def _but_not_of_ctrl_c(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tell of an exception that nobody retrieved, unless it's what ends the demo anyway."""
    if not isinstance(context.get("exception"), KeyboardInterrupt):
        loop.default_exception_handler(context)


def _first(group: BaseExceptionGroup[SagaworksError]) -> SagaworksError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
