"""Places are given out in the order asked for, and none is ever lost."""

import asyncio
import random

import pytest

from sagaworks.runtime.slots import Slots

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_places_can_be_taken_until_none_is_left() -> None:
    slots = Slots(2)
    await slots.take()
    await slots.take()

    third = asyncio.create_task(slots.take())
    await settle()

    assert (slots.taken, slots.free) == (2, 0)
    assert not third.done()
    slots.give()
    await third
    assert slots.taken == 2


async def test_whoever_asked_first_is_served_first() -> None:
    slots = Slots(1)
    await slots.take()
    served = []

    async def ask(name: str) -> None:
        await slots.take()
        served.append(name)

    asking = [asyncio.create_task(ask(name)) for name in "abc"]
    await settle()
    for _ in asking:
        slots.give()
        await settle()

    assert served == ["a", "b", "c"]
    await asyncio.gather(*asking)


async def test_a_place_is_not_snatched_from_those_who_wait() -> None:
    slots = Slots(1)
    await slots.take()
    waiting = asyncio.create_task(slots.take())
    await settle()

    slots.give()

    assert slots.take_more(5) == 0
    await waiting
    assert slots.taken == 1


async def test_more_places_are_only_those_that_are_free() -> None:
    slots = Slots(4)
    await slots.take()

    assert slots.take_more(0) == 0
    assert slots.take_more(-1) == 0
    assert slots.take_more(2) == 2
    assert slots.take_more(9) == 1
    assert slots.free == 0


async def test_several_places_given_back_serve_several() -> None:
    slots = Slots(3)
    slots.take_more(3)
    waiting = [asyncio.create_task(slots.take()) for _ in range(2)]
    await settle()

    slots.give(3)
    await asyncio.gather(*waiting)

    assert slots.free == 1


async def test_room_is_awaited_without_being_taken() -> None:
    slots = Slots(1)
    await slots.room()
    await slots.take()
    waiting = asyncio.create_task(slots.room())
    await settle()
    assert not waiting.done()

    slots.give()
    await waiting

    assert slots.free == 1


async def test_whoever_gives_up_waiting_takes_no_place_along() -> None:
    slots = Slots(1)
    await slots.take()
    impatient = asyncio.create_task(slots.take())
    patient = asyncio.create_task(slots.take())
    await settle()

    impatient.cancel()
    await settle()
    slots.give()
    await patient
    slots.give()

    assert slots.free == 1
    await slots.take()


async def test_a_place_given_at_the_moment_of_giving_up_is_passed_on() -> None:
    slots = Slots(1)
    await slots.take()
    impatient = asyncio.create_task(slots.take())
    patient = asyncio.create_task(slots.take())
    await settle()

    slots.give()
    impatient.cancel()
    await patient

    assert slots.taken == 1
    assert impatient.cancelled()


async def test_under_pressure_no_place_is_lost_or_doubled() -> None:
    slots = Slots(3)
    chance = random.Random(7)  # noqa: S311  the same disorder each time
    most = 0

    async def work() -> None:
        nonlocal most
        await slots.take()
        try:
            most = max(most, slots.taken)
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
        finally:
            slots.give()

    tasks = [asyncio.create_task(work()) for _ in range(200)]
    for task in chance.sample(tasks, 60):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert most == 3
    assert (slots.free, slots.taken) == (3, 0)
