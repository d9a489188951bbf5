"""The people around a saga, simulated: nobody is asked anything, and nobody decides."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from demo.plan import Fate, PlannedSaga
from demo.seed import approve
from demo.trips import Fate as TripFate
from sagaworks import EngineError
from sagaworks.codec import Json
from sagaworks.runtime.backoff import Backoff
from sagaworks.runtime.gateway import EngineBusyError, EngineUnreachableError, Gateway, connect
from sagaworks.settings import Settings

Meet = Callable[[PlannedSaga], Awaitable[None]]
"""Does what the people of one saga do, after its start."""

HOLDER_TAKES: Final = 1.5
"""Seconds until a late holder approves."""

TRAVELLER_TAKES: Final = 1.5
"""Seconds until a traveller cancels."""

TELL_TIMES: Final = 5
"""How often a message is tried again to an engine that is busy or away."""

AGENT_LOOKS_EVERY: Final = 0.5
"""Seconds between two looks of the travel agent at what waits."""

CHOOSE: Final = "choose_another_car"
INSTEAD: Final = "van"
"""What the travel agent always finds."""


@asynccontextmanager
async def simulated_holders(settings: Settings) -> AsyncIterator[Meet]:
    """Give what late holders of cards do: they approve in the end."""

    async def meet(order: PlannedSaga) -> None:
        if order.fate is Fate.LATE:
            await asyncio.sleep(HOLDER_TAKES)
            await asyncio.to_thread(approve, settings, str(order.variables["card"]))

    yield meet


@asynccontextmanager
async def simulated_travel_people(settings: Settings) -> AsyncIterator[Meet]:
    """Give what a hotel's reception and travellers do; a travel agent is at work meanwhile."""
    async with connect(settings) as gateway:

        async def meet(trip: PlannedSaga) -> None:
            if trip.fate is TripFate.CANCELLED:
                await asyncio.sleep(TRAVELLER_TAKES)
                await _tell(gateway, trip, "trip_cancelled")
            elif trip.fate is not TripFate.SILENT:
                await _tell(gateway, trip, "room_confirmed", confirmation=f"C-{trip.key}")

        agent = asyncio.create_task(_simulated_travel_agent(gateway))
        try:
            yield meet
        finally:
            agent.cancel()


async def _tell(gateway: Gateway, trip: PlannedSaga, message: str, **variables: Json) -> None:
    """Publish a message, again where it isn't known whether it was: a trip takes only one."""
    pause = Backoff(0.5, 5.0)
    for _ in range(TELL_TIMES):
        with suppress(EngineUnreachableError, EngineBusyError):
            await gateway.publish(message, trip.key, variables)
            return
        await asyncio.sleep(pause.next())
    await gateway.publish(message, trip.key, variables)


async def _simulated_travel_agent(gateway: Gateway) -> None:
    """Choose another car wherever somebody must, until cancelled."""
    while True:
        try:
            for task in await gateway.tasks_of_people():
                if task.element == CHOOSE:
                    await gateway.complete(task.job, {"car_class": INSTEAD})
        except EngineError:
            pass  # the engine is busy or restarts, or the trip was undone meanwhile: look again
        await asyncio.sleep(AGENT_LOOKS_EVERY)
