"""A worker that dies at any point of a job's life leaves one effect, done by whoever comes next."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlmodel import Session

from sagaworks import Saga
from sagaworks.testing import ScriptedGateway
from sagaworks.testing.faults import Faults, Mortal, Point
from tests.runtime.shop import Effect, Shop, StockHeld

pytestmark = pytest.mark.anyio

HOLD_STOCK = "shop.hold_stock"
LAMP = {"sku": "lamp"}
OF_A_CALL = [Point.CALL, Point.CALLED]
OF_A_TRANSACTION = [point for point in Point if point not in {*OF_A_CALL, Point.ASK}]

ROLLED_BACK = {Point.EFFECT, Point.COMMIT}


@asynccontextmanager
async def mortal_worker(shop: Shop, faults: Faults) -> AsyncIterator[Mortal]:
    """Run a worker that may die for as long as the block lasts."""
    mortal = faults.mortal(shop.service, shop.settings)
    stop = asyncio.Event()
    running = asyncio.create_task(mortal.run(stop))
    try:
        yield mortal
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await running


@pytest.mark.parametrize("point", OF_A_TRANSACTION)
async def test_a_step_whose_worker_dies_takes_effect_once(
    gateway: ScriptedGateway, faults: Faults, shop: Shop, point: Point
) -> None:
    calls: list[str] = []

    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        calls.append(sku)
        session.add(Effect(sku=sku))
        return StockHeld(sku=sku, quantity=1)

    crash = faults.crash(point)

    async with mortal_worker(shop, faults) as worker:
        job = gateway.offer(HOLD_STOCK, LAMP)
        await job.settled()
        await gateway.until(lambda: worker.deaths and not worker.ready(), what=faults.story())

    assert crash.happened == 1
    assert len(calls) == (2 if point in ROLLED_BACK else 1)
    assert shop.effects() == ["lamp"]
    assert job.answer == {"stock_held": {"sku": "lamp", "quantity": 1}}


@pytest.mark.parametrize("point", [Point.COMMIT, *OF_A_CALL, Point.COMMITTED])
async def test_a_call_whose_worker_dies_is_made_again_with_the_same_key(
    gateway: ScriptedGateway, faults: Faults, shop: Shop, point: Point
) -> None:
    """The intent is committed before the call, so dying at the first COMMIT means no call yet."""
    calls: list[str] = []

    @shop.service.remote_step
    def hold_stock(saga: Saga, sku: str) -> StockHeld:
        calls.append(saga.idempotency_key)
        return StockHeld(sku=sku, quantity=1)

    faults.crash(point)

    async with mortal_worker(shop, faults):
        job = gateway.offer(HOLD_STOCK, LAMP)
        await job.settled()

    assert len(set(calls)) == 1
    assert len(calls) == (2 if point is Point.CALLED else 1)


async def test_a_death_takes_the_other_jobs_in_hand_with_it(
    gateway: ScriptedGateway, faults: Faults, shop: Shop
) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        shop.gate.wait()
        return StockHeld(sku=sku, quantity=1)

    @shop.service.step(kind="read_only")
    def count_stock(session: Session, sku: str) -> None:
        return None

    faults.crash(Point.RECEIVED, count_stock)

    async with mortal_worker(shop, faults) as worker:
        held = gateway.offer(HOLD_STOCK, LAMP)
        await gateway.until(lambda: shop.gate.arrived == 1)
        counted = gateway.offer("shop.count_stock", LAMP)
        await gateway.until(lambda: worker.deaths)
        shop.gate.open()
        await held.settled()
        await counted.settled()

    assert shop.gate.arrived == 2
    assert shop.effects() == ["lamp"]
    assert held.reports[-1] == counted.reports[-1] == ("CompleteJob", "OK")


async def test_nothing_of_a_dead_worker_reaches_the_engine(
    gateway: ScriptedGateway, faults: Faults, shop: Shop
) -> None:
    """A worker that merely stops hands back what was pushed to it; a killed one can't."""

    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        return StockHeld(sku=sku, quantity=1)

    shop.settings = shop.settings_with(threads=1)
    faults.crash(Point.BEGIN)
    async with mortal_worker(shop, faults):
        await gateway.until(lambda: gateway.open_streams(HOLD_STOCK))
        jobs = [gateway.offer(HOLD_STOCK, {"sku": sku}) for sku in ("lamp", "desk", "chair")]
        for job in jobs:
            await job.settled()

    said = {call.request.errorMessage for call in gateway.calls_of("FailJob")}
    assert said == {"a fault test ends its lock"}
