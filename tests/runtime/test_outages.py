"""Whatever happens to the engine, the worker lives on and takes up its work again."""

import time
from datetime import timedelta

import grpc
import pytest
from sqlmodel import Session

from sagaworks.testing import Hold, LoseReply, ScriptedGateway
from tests.runtime.shop import Effect, Shop, StockHeld

pytestmark = pytest.mark.anyio

HOLD_STOCK = "shop.hold_stock"
LAMP = {"sku": "lamp"}
BACK_WITHIN = 5.0
"""Seconds after the engine is back until the worker must have taken a job."""


@pytest.fixture(autouse=True)
def hold_stock(shop: Shop) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        return StockHeld(sku=sku, quantity=1)


async def test_an_outage_of_many_seconds_ends_in_work(
    gateway: ScriptedGateway, shop: Shop, log: list[str]
) -> None:
    """Longer than the ten connection errors after which pyzeebe's worker goes deaf."""
    async with shop.open() as worker:
        await gateway.offer(HOLD_STOCK, LAMP).settled()
        began = time.monotonic()
        async with gateway.outage():
            await gateway.until(worker.ready, what="not ready")
            [reason] = worker.ready()
            job = gateway.offer(HOLD_STOCK, LAMP)
            await gateway.until(lambda: time.monotonic() - began > 5)
            assert worker.live() == []
        await job.settled(timeout=BACK_WITHIN)
        await gateway.until(lambda: not worker.ready(), what="ready")

        pushed = gateway.offer(HOLD_STOCK, LAMP)
        await pushed.settled()

    assert f"no engine answers at {gateway.address}" in reason
    assert len([line for line in log if line.startswith("WARNING")]) == 1, "told once"
    assert shop.effects() == ["lamp"] * 3


async def test_an_answer_that_an_outage_cut_off_arrives_afterwards_and_counts_once(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    gateway.script("CompleteJob", [hold := Hold()])
    async with shop.open(lock=timedelta(seconds=2)):
        await shop.streaming("hold_stock")
        job = gateway.offer(HOLD_STOCK, LAMP)
        await hold.reached()
        async with gateway.outage():
            await gateway.until(lambda: job.state.name == "ACTIVATABLE", what="the lock's end")
        await job.settled(timeout=BACK_WITHIN)

    assert job.answer == {"stock_held": {"sku": "lamp", "quantity": 1}}
    assert shop.effects() == ["lamp"]


async def test_a_worker_that_starts_before_its_engine_waits_for_it(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    async with gateway.outage():
        job = gateway.offer(HOLD_STOCK, LAMP)
        began = time.monotonic()
        opened = shop.open()
        worker = await opened.__aenter__()
        await gateway.until(lambda: time.monotonic() - began > 1)
        [reason] = worker.ready()
    try:
        await job.settled(timeout=BACK_WITHIN)
    finally:
        await opened.__aexit__(None, None, None)

    assert gateway.address in reason


async def test_a_broken_stream_is_opened_again_and_misses_nothing(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    async with shop.open():
        for code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL) * 2:
            await gateway.until(lambda: gateway.open_streams(HOLD_STOCK))
            gateway.break_streams(code)
            between = gateway.offer(HOLD_STOCK, LAMP)
            await between.settled(timeout=BACK_WITHIN)

    assert shop.effects() == ["lamp"] * 4


async def test_jobs_of_a_poll_whose_reply_is_lost_come_after_their_lock(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    gateway.script("ActivateJobs", [LoseReply()])
    job = gateway.offer(HOLD_STOCK, LAMP)
    async with shop.open(lock=timedelta(seconds=1)):
        await job.settled(timeout=BACK_WITHIN)

    assert job.deliveries == 2
    assert shop.effects() == ["lamp"]


async def test_a_worker_without_a_database_says_so_and_takes_no_job(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    (shop.settings.data / "shop.db").rename(shop.settings.data / "away.db")
    job = gateway.offer(HOLD_STOCK, LAMP)
    async with shop.open() as worker:
        await gateway.until(lambda: "no such file" in worker.ready()[0])

        assert gateway.calls == []
        (shop.settings.data / "away.db").rename(shop.settings.data / "shop.db")
        await job.settled()
