"""What passes on the wire between workers and the engine, and what may go wrong there."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub
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


async def test_an_answer_of_the_engine_reaches_the_worker_word_for_word(
    gateway: ScriptedGateway, faults: Faults
) -> None:
    async with grpc.aio.insecure_channel(faults.address) as channel:
        stub: Any = GatewayStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.CompleteJob(pb.CompleteJobRequest(jobKey=7), timeout=5)
        topology = await stub.Topology(pb.TopologyRequest(), timeout=5)

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert "job with key '7', but no such job was found" in str(refused.value.details())
    assert topology.gatewayVersion == "8.6.0"


async def test_a_job_that_comes_after_the_cancel_has_no_effect(
    gateway: ScriptedGateway, faults: Faults, shop: Shop
) -> None:
    """The step was done before, its report lost; the lock ran out, an operator cancelled."""

    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        return StockHeld(sku=sku, quantity=1)

    late = faults.deliver_after_cancel(hold_stock)
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, LAMP)
        await gateway.until(lambda: late.holds(job.process_instance))
        gateway.cancel(job)
        late.cancelled(job.process_instance)
        await gateway.until(lambda: job.reports)

    assert job.reports == [("CompleteJob", "NOT_FOUND")]
    assert late.happened == 1


@pytest.mark.parametrize("workers", [1, 2])
async def test_at_once_means_two_workers_where_there_are_two(
    gateway: ScriptedGateway, faults: Faults, workers: int
) -> None:
    plain = [PlainWorker(HOLD_STOCK) for _ in range(workers)]
    faults.deliver_at_once()

    async with AsyncExitStack() as stack:
        for worker in plain:
            address = faults.open_link().address
            await stack.enter_async_context(worker.open(address, streams=True))
        await gateway.until(lambda: gateway.open_streams(HOLD_STOCK) == workers)
        job = gateway.offer(HOLD_STOCK, LAMP)
        await job.settled()

    assert [len(worker.effects) for worker in plain] == ([2] if workers == 1 else [1, 1])


async def order_of(gateway: ScriptedGateway, seed: int) -> list[str]:
    """Offer three jobs of one saga at once; return the order in which they were done."""
    types = ["release_stock", "refund_card", "cancel_shipment"]
    done: list[str] = []
    with Faults(gateway.address, seed=seed) as faults:
        faults.any_order()
        async with AsyncExitStack() as stack:
            for type_ in types:
                worker = PlainWorker(type_, done)
                await stack.enter_async_context(worker.open(faults.address, streams=True))
            await gateway.until(lambda: all(gateway.open_streams(type_) == 1 for type_ in types))
            jobs = [gateway.offer(type_, {"sku": type_}, process_instance=7) for type_ in types]
            for job in jobs:
                await job.settled()
    await gateway.until(lambda: not any(gateway.open_streams(type_) for type_ in types))
    return done


async def test_jobs_that_come_together_are_done_in_any_order_which_the_seed_decides(
    gateway: ScriptedGateway,
) -> None:
    orders = [await order_of(gateway, seed) for seed in range(6)]
    again = [await order_of(gateway, seed) for seed in range(6)]

    assert orders == again
    assert len({*map(tuple, orders)}) >= 3


async def test_a_fault_that_never_happened_fails_the_test(gateway: ScriptedGateway) -> None:
    with Faults(gateway.address, seed=11) as faults:
        lost = faults.lose_report("shop.pay")
        faults.patience = 0.1

        with pytest.raises(
            AssertionError, match=r"never happened: the report is lost \(shop.pay\)"
        ):
            faults.demand()

        lost.happened = 1


async def test_a_failing_test_is_not_covered_up_by_a_fault_that_never_happened(
    gateway: ScriptedGateway,
) -> None:
    def fail() -> None:
        with Faults(gateway.address) as faults:
            faults.lose_report("shop.pay")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


async def test_the_story_tells_the_seed_and_what_passed(
    gateway: ScriptedGateway, faults: Faults, shop: Shop, hold_stock: None
) -> None:
    faults.lose_reply(HOLD_STOCK)
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, LAMP)
        await gateway.until(lambda: len(job.reports) == 2)

    seed, *lines = faults.story().splitlines()
    assert seed == "seed 1"
    assert [line.partition("s  ")[2] for line in lines[:3]] == [
        f"delivered {HOLD_STOCK} {job.key}",
        f"CompleteJob {HOLD_STOCK} {job.key} -> OK",
        f"the report's reply is lost: CompleteJob {HOLD_STOCK} {job.key}",
    ]
