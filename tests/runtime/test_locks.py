"""A running step keeps its job's lock, and learns when the job isn't its own any more."""

from datetime import timedelta

import grpc
import pytest
from sqlmodel import Session

from sagaworks.testing import Fail, JobState, ScriptedGateway
from tests.runtime.shop import Effect, Shop, StockHeld

pytestmark = pytest.mark.anyio

HOLD_STOCK = "shop.hold_stock"
SECOND = timedelta(seconds=1)


@pytest.fixture
def hold_stock(shop: Shop) -> None:
    """Give the shop a step that waits for the test after its effect."""

    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        session.flush()
        shop.gate.wait()
        return StockHeld(sku=sku, quantity=1)


async def test_the_lock_of_a_long_step_is_extended_in_time(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    async with shop.open(lock=SECOND):
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
        await gateway.until(lambda: len(gateway.calls_of("UpdateJobTimeout")) >= 4)
        shop.gate.open()
        await job.settled()

    assert job.deliveries == 1
    assert job.reports == [("CompleteJob", "OK")]
    assert {call.request.timeout for call in gateway.calls_of("UpdateJobTimeout")} == {1000}


async def test_an_extension_that_fails_is_tried_again_before_the_lock_ends(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    gateway.script("UpdateJobTimeout", [Fail(grpc.StatusCode.UNAVAILABLE)])
    async with shop.open(lock=2 * SECOND):
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
        await gateway.until(lambda: len(gateway.calls_of("UpdateJobTimeout")) >= 3)
        shop.gate.open()
        await job.settled()

    assert job.deliveries == 1


async def test_a_job_taken_away_while_its_step_runs_leaves_nothing_behind(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    async with shop.open(lock=SECOND) as worker:
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
        await gateway.until(lambda: shop.gate.inside)
        gateway.cancel(job)
        refused = worker.metrics.job_reports.labels("UpdateJobTimeout", "NOT_FOUND")
        await gateway.until(refused._value.get, what="the worker learns that its job is gone")
        shop.gate.open()
        await gateway.until(lambda: shop.outcomes("hold_stock", "late"))

    assert job.reports == []
    assert shop.effects() == []
    assert shop.rows() == []


async def test_the_lock_is_kept_until_the_report_is_answered(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    shop.gate.open()
    async with shop.open(lock=SECOND):
        with gateway.failing("CompleteJob", grpc.StatusCode.RESOURCE_EXHAUSTED):
            job = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
            await gateway.until(lambda: len(gateway.calls_of("UpdateJobTimeout")) >= 4)
        await job.settled()

    assert (job.state, job.deliveries) == (JobState.COMPLETED, 1)
