"""What passes on the wire between workers and the engine, and what may go wrong there."""

from collections.abc import Callable

import pytest
from sqlmodel import Session

from sagaworks.testing import ScriptedGateway
from sagaworks.testing.faults import Fault, Faults
from tests.faults.plain import PlainWorker
from tests.runtime.shop import Effect, Shop, StockHeld

pytestmark = pytest.mark.anyio

HOLD_STOCK = "shop.hold_stock"
LAMP = {"sku": "lamp"}


@pytest.fixture
def hold_stock(shop: Shop) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        return StockHeld(sku=sku, quantity=1)


FAULTS: dict[str, Callable[[Faults], Fault]] = {
    "twice": lambda faults: faults.deliver_twice(),
    "at-once": lambda faults: faults.deliver_at_once(),
    "late": lambda faults: faults.deliver_late(),
    "another-key": lambda faults: faults.deliver_under_another_key(),
    "reply-lost": lambda faults: faults.lose_reply(),
    "report-lost": lambda faults: faults.lose_report(HOLD_STOCK),
    "report-slow": lambda faults: faults.delay(0.1),
}

each_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())


async def test_without_faults_everything_passes(
    gateway: ScriptedGateway, faults: Faults, shop: Shop, hold_stock: None
) -> None:
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, LAMP)
        await job.settled()

    assert job.reports == [("CompleteJob", "OK")]
    assert shop.effects() == ["lamp"]


@each_fault
async def test_sagaworks_does_each_thing_once_whatever_breaks(
    gateway: ScriptedGateway,
    faults: Faults,
    shop: Shop,
    hold_stock: None,
    fault: Callable[[Faults], Fault],
) -> None:
    breaks = fault(faults)

    async with shop.open():
        jobs = [gateway.offer(HOLD_STOCK, {"sku": sku}) for sku in ("lamp", "desk")]
        for job in jobs:
            await job.settled()
        await gateway.until(lambda: breaks.happened >= len(jobs), what=faults.story())

    assert sorted(shop.effects()) == ["desk", "lamp"]
    assert all(job.answer for job in jobs)


@pytest.mark.parametrize("streams", [False, True], ids=["polls", "streams"])
@pytest.mark.parametrize("name", ["twice", "at-once", "late", "another-key", "report-lost"])
async def test_a_worker_that_remembers_nothing_does_it_twice(
    gateway: ScriptedGateway, faults: Faults, name: str, *, streams: bool
) -> None:
    worker = PlainWorker(HOLD_STOCK)
    FAULTS[name](faults)

    async with worker.open(faults.address, streams=streams):
        job = gateway.offer(HOLD_STOCK, LAMP)
        await job.settled()
        await gateway.until(lambda: len(worker.effects) == 2, what=faults.story())

    assert job.answer == {"held": "lamp"}
