"""A worker takes what it can carry, whatever it is pushed, and each job takes effect once."""

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import pairwise

import grpc
import pytest
from sqlmodel import Session

from sagaworks import Refusal, Saga
from sagaworks.testing import Fail, Hold, JobState, ScriptedGateway
from tests.runtime.shop import THREADS, Effect, Gate, Shelf, Shop, StockHeld, in_flight

pytestmark = pytest.mark.anyio

HOLD_STOCK = "shop.hold_stock"
ASK_PRICE = "shop.ask_price"
BURST = 200


class OutOfStock(Refusal):
    """None left."""


class Together:
    """Counts who is inside at once, and notes for what."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pause = threading.Event()
        self.inside = 0
        self.most = 0
        self.asked: list[str] = []
        self.in_hand: Callable[[], float] = lambda: 0
        self.most_in_hand = 0.0

    def __enter__(self) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.most_in_hand = max(self.most_in_hand, self.in_hand())
        self._pause.wait(0.005)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.inside -= 1


@pytest.fixture
def together(shop: Shop) -> Together:
    """Give the shop a remote step: nothing but the worker's own limit keeps those apart."""
    together = Together()

    @shop.service.remote_step(kind="retriable")
    def ask_price(sku: str) -> None:
        with together:
            together.asked.append(sku)

    return together


@pytest.fixture
def hold_stock(shop: Shop) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        return StockHeld(sku=sku, quantity=1)


async def test_a_burst_of_pushed_jobs_never_runs_more_than_the_limit(
    gateway: ScriptedGateway, shop: Shop, together: Together
) -> None:
    async with shop.open(lock=timedelta(seconds=20), group=0) as worker:
        together.in_hand = partial(in_flight, worker)
        await shop.streaming("ask_price")
        jobs = [gateway.offer(ASK_PRICE, {"sku": f"lamp {n}"}) for n in range(BURST)]
        for job in jobs:
            await job.settled(timeout=30)

    assert 1 < together.most <= THREADS
    assert together.most_in_hand <= THREADS, "what has no thread yet stays unread"
    assert sorted(together.asked) == sorted(f"lamp {n}" for n in range(BURST))
    assert {tuple(job.reports) for job in jobs} == {(("CompleteJob", "OK"),)}


async def test_a_backlog_is_polled_in_portions_that_fit(
    gateway: ScriptedGateway, shop: Shop, together: Together
) -> None:
    jobs = [gateway.offer(ASK_PRICE, {"sku": f"lamp {n}"}) for n in range(40)]
    async with shop.open(lock=timedelta(seconds=20)) as worker:
        for job in jobs:
            await job.settled(timeout=20)

        assert THREADS < worker.slots.count <= 4 * THREADS, "quick ones may wait in hand"

    asked = [call.request.maxJobsToActivate for call in gateway.polls_of(ASK_PRICE)]
    assert 1 < together.most <= THREADS
    assert asked[0] <= THREADS
    assert max(asked) <= 4 * THREADS
    assert len(together.asked) == 40


async def test_a_worker_of_slow_steps_takes_no_job_in_advance(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    """Where others could have it meanwhile."""

    @shop.service.remote_step(kind="retriable")
    def ask_price(sku: str) -> None:
        shop.gate.wait()

    async with shop.open(threads=1) as worker:
        job = gateway.offer(ASK_PRICE, {"sku": "lamp"})
        await gateway.until(lambda: shop.gate.inside)
        began = time.monotonic()
        await gateway.until(lambda: time.monotonic() - began > 0.3)
        shop.gate.open()
        await job.settled()
        await gateway.until(lambda: worker.slots.taken == 0)

        assert worker.slots.count == 1


async def test_a_freed_place_wakes_the_poll(
    gateway: ScriptedGateway, shop: Shop, together: Together
) -> None:
    """No pause of seconds between two portions of a backlog, as pyzeebe's own poller makes."""
    jobs = [gateway.offer(ASK_PRICE, {"sku": "lamp"}) for _ in range(10 * THREADS)]
    async with shop.open():
        for job in jobs:
            await job.settled()

    polls = [call for call in gateway.polls_of(ASK_PRICE) if call.jobs]
    assert max(b.at - a.ended for a, b in pairwise(polls)) < 1.0


async def test_a_full_worker_looks_for_what_the_engine_took_back_but_not_at_each_freed_place(
    gateway: ScriptedGateway, shop: Shop, together: Together
) -> None:
    """A job that is pushed to a full worker may go back to the engine, where only polls find it."""
    async with shop.open(lock=timedelta(seconds=20), group=0):
        await shop.streaming("ask_price")
        before, began = len(gateway.polls_of(ASK_PRICE)), time.monotonic()
        jobs = [gateway.offer(ASK_PRICE, {"sku": f"lamp {n}"}) for n in range(BURST)]
        for job in jobs:
            await job.settled(timeout=30)
        await gateway.until(lambda: len(gateway.polls_of(ASK_PRICE)) > before)
        took = time.monotonic() - began

    # Here 200 jobs take about a second.
    assert len(gateway.polls_of(ASK_PRICE)) - before <= 1 + took / 0.03


async def test_steps_of_one_service_share_its_limit(gateway: ScriptedGateway, shop: Shop) -> None:
    gate = shop.gate

    @shop.service.remote_step(kind="retriable")
    def ask_price(sku: str) -> None:
        gate.wait()

    @shop.service.remote_step(kind="retriable")
    def ask_weight(sku: str) -> None:
        gate.wait()

    async with shop.open() as worker:
        await shop.streaming("ask_price")
        await shop.streaming("ask_weight")
        jobs = [
            gateway.offer(f"shop.{step}", {"sku": "lamp"})
            for step in ("ask_price", "ask_weight")
            for _ in range(THREADS)
        ]
        await gateway.until(lambda: gate.inside == THREADS)
        assert worker.slots.free == 0

        gate.open()
        for job in jobs:
            await job.settled()

    assert gate.most == THREADS


async def test_a_full_worker_leaves_the_stream_unread(gateway: ScriptedGateway, shop: Shop) -> None:
    gate = shop.gate

    @shop.service.remote_step(kind="retriable")
    def ask_price(sku: str) -> None:
        gate.wait()

    async with shop.open():
        await shop.streaming("ask_price")
        padding = {"sku": "x" * 50_000}
        jobs = [gateway.offer(ASK_PRICE, padding) for _ in range(20 + THREADS)]
        await gateway.until(lambda: gate.inside == THREADS)

        assert gateway.unsent(ASK_PRICE) > 10
        gate.open()
        for job in jobs:
            await job.settled()


async def test_a_job_that_waited_past_its_lock_isnt_begun(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    gate = Gate()

    @shop.service.remote_step(kind="retriable")
    def ask_price(sku: str) -> None:
        if sku == "first":
            gate.wait()
        shop.put(Effect(sku=sku))

    async with shop.open(threads=1, lock=timedelta(seconds=1)):
        await shop.streaming("ask_price")
        first = gateway.offer(ASK_PRICE, {"sku": "first"})
        await gateway.until(lambda: gate.inside)
        second = gateway.offer(ASK_PRICE, {"sku": "second"})
        third = gateway.offer(ASK_PRICE, {"sku": "third"})
        # Twice: then the first delivery's lock is over by the worker's clock too.
        await gateway.until(lambda: min(second.deliveries, third.deliveries) > 2)
        gate.open()
        for job in (first, second, third):
            await job.settled()

        assert shop.outcomes("ask_price", "expired") >= 2

    assert sorted(shop.effects()) == ["first", "second", "third"]


async def test_a_polls_jobs_that_arrive_while_the_worker_drains_are_handed_back_with_their_retries(
    gateway: ScriptedGateway, shop: Shop, together: Together
) -> None:
    async def answer_once_the_stream_is_closed() -> None:
        await gateway.until(lambda: not gateway.open_streams(ASK_PRICE), what="stream closed")
        hold.release()

    jobs = [gateway.offer(ASK_PRICE, {"sku": "lamp"}, retries=retries) for retries in (1, 3)]
    gateway.script("ActivateJobs", [hold := Hold(acted=True)])
    async with shop.open(lock=timedelta(seconds=20)) as worker:
        await hold.reached()
        await gateway.until(lambda: gateway.open_streams(ASK_PRICE), what="stream open")
        answering = asyncio.create_task(answer_once_the_stream_is_closed())
    await answering

    assert together.asked == []
    assert [job.reports for job in jobs] == [[("FailJob", "OK")]] * 2
    assert [job.failures[0].retries for job in jobs] == [1, 3]
    assert worker.slots.taken == 0


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
async def test_the_engines_wall_clock_may_be_wrong_by_an_hour(
    shop: Shop, hold_stock: None, ahead: float
) -> None:
    async with (
        ScriptedGateway(clock_ahead=ahead) as gateway,
        shop.open(zeebe_address=gateway.address),
    ):
        jobs = [gateway.offer(HOLD_STOCK, {"sku": "lamp"}) for _ in range(3)]
        for job in jobs:
            await job.settled()

    assert [job.reports for job in jobs] == [[("CompleteJob", "OK")]] * 3


async def test_backpressure_on_polls_is_met_in_milliseconds(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    job = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
    gateway.script("ActivateJobs", [Fail(grpc.StatusCode.RESOURCE_EXHAUSTED)] * 5)
    async with shop.open() as worker:
        await job.settled()

        assert worker.ready() == []

    polls = gateway.polls_of(HOLD_STOCK)[:6]
    assert [poll.answered for poll in polls] == ["RESOURCE_EXHAUSTED"] * 5 + ["OK"]
    assert polls[5].at - polls[0].at < 1.0


async def test_backpressure_on_streams_is_met_without_a_word(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None, log: list[str]
) -> None:
    gateway.script("StreamActivatedJobs", [Fail(grpc.StatusCode.RESOURCE_EXHAUSTED)] * 3)
    async with shop.open():
        await shop.streaming("hold_stock")
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
        await job.settled()

    assert not [line for line in log if line.startswith(("ERROR", "WARNING"))]


@pytest.mark.parametrize("pushed", [True, False], ids=["pushed", "polled"])
async def test_a_job_delivered_four_times_at_once_takes_effect_once(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None, *, pushed: bool
) -> None:
    def offer_four_times() -> None:
        for _ in range(10):
            gateway.deliver_simultaneously(gateway.offer(HOLD_STOCK, {"sku": "lamp"}), 4)

    def all_handled() -> bool:
        outcomes = ("executed", "replayed", "late")
        handled = sum(shop.outcomes("hold_stock", outcome) for outcome in outcomes)
        jobs = gateway.jobs.values()
        return all(j.is_gone for j in jobs) and handled == sum(j.deliveries for j in jobs)

    if not pushed:
        offer_four_times()
    async with shop.open():
        if pushed:
            await shop.streaming("hold_stock")
            offer_four_times()
        await gateway.until(all_handled)
        assert shop.outcomes("hold_stock", "executed") == 10
        assert shop.outcomes("hold_stock", "replayed") > 10

    answers = {call.request.variables for call in gateway.calls_of("CompleteJob")}
    assert answers == {'{"stock_held":{"quantity":1,"sku":"lamp"}}'}
    assert {code for job in gateway.jobs.values() for _, code in job.reports} <= {"OK", "NOT_FOUND"}
    assert shop.effects() == ["lamp"] * 10


async def test_four_simultaneous_deliveries_for_the_last_unit_all_say_yes(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    """Decided after the effect, three of the four would refuse what the first has done."""

    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        shelf = session.get_one(Shelf, sku)
        if not shelf.available:
            raise OutOfStock(sku)
        shelf.available -= 1
        return StockHeld(sku=sku, quantity=1)

    shop.put(*(Shelf(sku=f"lamp {n}", available=1) for n in range(10)))
    async with shop.open():
        await shop.streaming("hold_stock")
        for n in range(10):
            job = gateway.offer(HOLD_STOCK, {"sku": f"lamp {n}"})
            gateway.deliver_simultaneously(job, 3)
            await job.settled()

    assert not gateway.calls_of("ThrowError")
    assert [shop.available(f"lamp {n}") for n in range(10)] == [0] * 10


async def test_a_partner_is_called_with_the_same_key_by_both_deliveries_of_a_job(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    keys: list[str] = []

    @shop.service.remote_step(kind="retriable")
    def ask_price(saga: Saga, sku: str) -> None:
        keys.append(saga.idempotency_key)
        shop.gate.wait()

    async with shop.open():
        await shop.streaming("ask_price")
        job = gateway.offer(ASK_PRICE, {"sku": "lamp"})
        await gateway.until(lambda: shop.gate.inside == 1)
        gateway.redeliver(job)
        await gateway.until(lambda: shop.gate.inside == 2)
        shop.gate.open()
        await job.settled()

    assert len(set(keys)) == 1
    assert job.state is JobState.COMPLETED
    assert len(shop.rows()) == 1
