"""`async def` steps run in the worker's event loop, and are answered like all others."""

import asyncio
import sys
from datetime import timedelta

import pytest
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from sagaworks import ConfigurationError, Refusal
from sagaworks.runtime.worker import Worker
from sagaworks.testing import ScriptedGateway
from tests.runtime.shop import THREADS, Effect, Shop, StockHeld, in_flight

pytestmark = pytest.mark.anyio

HOLD_STOCK = "shop.hold_stock"
ASK_PRICE = "shop.ask_price"


class OutOfStock(Refusal):
    """None left."""


@pytest.fixture
def hold_stock(shop: Shop) -> None:
    """Give the shop an async step, undone by a plain function."""

    @shop.service.step
    async def hold_stock(session: AsyncSession, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        await session.flush()
        if sku == "none left":
            raise OutOfStock(sku)
        return StockHeld(sku=sku, quantity=1)

    @hold_stock.compensation
    def release_stock(session: Session, held: StockHeld) -> None:
        session.add(Effect(sku=f"{held.sku} back"))


async def test_async_and_plain_tasks_of_one_service_work_side_by_side(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    variables = {"sku": "lamp", "saga_key": "order-1"}
    async with shop.open():
        held = gateway.offer(HOLD_STOCK, variables, process_instance=1)
        await held.settled()
        refused = gateway.offer(HOLD_STOCK, {"sku": "none left"})
        released = gateway.offer("shop.release_stock", variables, process_instance=1)
        await refused.settled()
        await released.settled()

    assert held.answer == {"stock_held": {"sku": "lamp", "quantity": 1}}
    assert [job.reports for job in (held, refused, released)] == [
        [("CompleteJob", "OK")],
        [("ThrowError", "OK")],
        [("CompleteJob", "OK")],
    ]
    assert shop.effects() == ["lamp", "lamp back"]


async def test_no_more_async_steps_run_at_once_than_the_limit(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    inside = most = 0
    go_on = asyncio.Event()

    @shop.service.remote_step(kind="retriable")
    async def ask_price(sku: str) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await go_on.wait()
        inside -= 1

    async with shop.open():
        await shop.streaming("ask_price")
        jobs = [gateway.offer(ASK_PRICE, {"sku": "lamp"}) for _ in range(3 * THREADS)]
        await gateway.until(lambda: inside == THREADS)
        go_on.set()
        for job in jobs:
            await job.settled()

    assert most == THREADS
    assert [job.reports for job in jobs] == [[("CompleteJob", "OK")]] * len(jobs)


async def test_an_async_step_whose_job_is_delivered_four_times_at_once_takes_effect_once(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    async with shop.open():
        await shop.streaming("hold_stock")
        for _ in range(5):
            gateway.deliver_simultaneously(gateway.offer(HOLD_STOCK, {"sku": "lamp"}), 4)
        await gateway.until(lambda: all(job.is_gone for job in gateway.jobs.values()))
        assert shop.outcomes("hold_stock", "executed") == 5

    assert shop.effects() == ["lamp"] * 5


async def test_an_async_step_that_hangs_is_cancelled_and_rolled_back_when_the_worker_stops(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    ended = []

    @shop.service.step
    async def hold_stock(session: AsyncSession, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        await session.flush()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(sku)
            raise
        return StockHeld(sku=sku, quantity=1)

    worker = Worker(shop.service, shop.settings_with(grace=timedelta(seconds=0.2)))
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await shop.streaming("hold_stock")
    job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, retries=1)
    await gateway.until(lambda: in_flight(worker) == 1)
    await gateway.until(lambda: job.deliveries)
    stop.set()

    assert await running == 1
    assert ended == ["lamp"]
    assert [failure.retries for failure in job.failures] == [1]
    assert shop.effects() == []


async def test_without_the_extra_a_service_with_async_steps_says_what_to_install(
    shop: Shop, hold_stock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiosqlite", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'sagaworks\[async\]'"):
        Worker(shop.service, shop.settings)
