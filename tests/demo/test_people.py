"""The simulated people do their part, also where the engine is slow, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from demo import people
from demo.people import simulated_travel_people
from demo.plan import PlannedSaga
from demo.trips import Fate
from sagaworks.runtime.gateway import EngineUnreachableError, PersonsTask
from sagaworks.saga import JobKey, SagaKey
from sagaworks.settings import Settings


class SlowGateway:
    """An engine that answers each second call only."""

    def __init__(self) -> None:
        self.calls = 0
        self.told: list[tuple[str, str]] = []
        self.completed: list[int] = []
        self.waiting = [task(1, "choose_another_car"), task(2, "sign_the_contract")]

    def answer(self) -> None:
        self.calls += 1
        if self.calls % 2:
            raise EngineUnreachableError("no engine answers")

    async def publish(self, message: str, key: str, variables: Mapping[str, object]) -> None:
        self.answer()
        self.told.append((message, key))

    async def tasks_of_people(self) -> list[PersonsTask]:
        waiting, self.waiting = self.waiting, []
        return waiting

    async def complete(self, job: JobKey, variables: Mapping[str, object]) -> None:
        assert variables == {"car_class": "van"}
        self.completed.append(job)


def task(job: int, element: str) -> PersonsTask:
    return PersonsTask(JobKey(job), element, SagaKey(7), "trip-1")


def trip(fate: Fate) -> PlannedSaga:
    return PlannedSaga("trip-1", fate, {})


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> SlowGateway:
    gateway = SlowGateway()

    @asynccontextmanager
    async def connect(_: Settings) -> AsyncIterator[SlowGateway]:
        yield gateway

    monkeypatch.setattr(people, "connect", connect)
    monkeypatch.setattr(people, "TRAVELLER_TAKES", 0.0)
    return gateway


def meet(*trips: PlannedSaga) -> None:
    """Let the people meet these trips, one after the other."""

    async def meet_all() -> None:
        async with simulated_travel_people(Settings.load({})) as meet:
            for one in trips:
                await meet(one)
            await asyncio.sleep(0)

    asyncio.run(meet_all())


@pytest.mark.parametrize(
    "fate, told",
    [
        (Fate.FINE, [("room_confirmed", "trip-1")]),
        (Fate.NO_CAR, [("room_confirmed", "trip-1")]),
        (Fate.CANCELLED, [("trip_cancelled", "trip-1")]),
        (Fate.SILENT, []),
    ],
)
def test_each_trip_is_told_what_its_fate_says_though_the_engine_is_slow(
    gateway: SlowGateway, fate: Fate, told: list[tuple[str, str]]
) -> None:
    meet(trip(fate))

    assert gateway.told == told


def test_an_engine_that_stays_away_ends_the_demo(
    gateway: SlowGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "TELL_TIMES", 0)

    with pytest.raises(EngineUnreachableError):
        meet(trip(Fate.FINE))


def test_the_travel_agent_does_no_other_persons_task(gateway: SlowGateway) -> None:
    meet(trip(Fate.FINE))

    assert gateway.completed == [1]
