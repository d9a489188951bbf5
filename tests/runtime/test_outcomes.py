"""What a step says becomes what the engine is told: retries, back-off, incidents, and why."""

import json
import sqlite3
import time
from datetime import timedelta

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from sagaworks import Halt, Refusal, Retry, Saga
from sagaworks.ledger import store
from sagaworks.ledger.faults import CommitUnknownError
from sagaworks.runtime import handler
from sagaworks.testing import ScriptedGateway
from tests.runtime.shop import Effect, Shop, StockHeld

pytestmark = pytest.mark.anyio

HOLD_STOCK = "shop.hold_stock"
LAMP = {"sku": "lamp", "quantity": 2}


class OutOfStock(Refusal):
    """None left."""


def raising(shop: Shop, error: Exception) -> None:
    """Give the shop a step that takes effect and then raises."""

    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        session.flush()
        raise error


def full_disk() -> OperationalError:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    return OperationalError("INSERT", {}, full)


async def test_a_retry_costs_one_retry_and_waits_as_long_as_it_says(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    raising(shop, Retry("the carrier sleeps", after=timedelta(seconds=60)))
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, retries=3)
        await gateway.until(lambda: job.failures)

    [failure] = job.failures
    assert (failure.retries, failure.retryBackOff) == (2, 60_000)
    assert failure.errorMessage == "the carrier sleeps"
    assert shop.effects() == []
    assert shop.rows() == []


async def test_a_retry_without_a_time_waits_longer_each_time(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    raising(shop, Retry("not now"))
    """A short pause passes in the worker: the engine forgets the end of some back-offs."""
    async with shop.open():
        began = time.monotonic()
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, retries=10)
        await gateway.until(lambda: len(job.failures) == 3)
        waited = time.monotonic() - began
        gateway.redeliver(job)
        await gateway.until(lambda: len(job.failures) == 4)

    back_offs = [failure.retryBackOff for failure in job.failures[:4]]
    assert waited >= 0.5 + 1
    assert back_offs[:2] == [0, 0]
    assert 2_000 <= back_offs[2] <= 4_000 <= back_offs[3] <= 8_000
    assert [failure.retries for failure in job.failures[:4]] == [9, 8, 7, 6]


async def test_a_job_that_waits_for_its_next_try_leaves_its_place_to_another(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    raising(shop, ConnectionError("the partner is away"))

    @shop.service.step
    def ask_price(session: Session, sku: str) -> StockHeld:
        return StockHeld(sku=sku, quantity=1)

    async with shop.open(threads=1, group=1) as worker:
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, retries=3)
        await gateway.until(lambda: shop.outcomes("hold_stock", "failed"))
        healthy = [gateway.offer("shop.ask_price", {"sku": "lamp"}) for _ in range(5)]
        for one in healthy:
            await one.settled()
        assert job.failures == []
        await gateway.until(lambda: job.failures)

    assert worker.slots.taken == 0


async def test_a_retry_that_says_at_once_comes_at_once(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    raising(shop, Retry("again", after=timedelta(0)))
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, retries=3)
        await job.settled()

    assert [failure.retries for failure in job.failures] == [2, 1, 0]


async def test_the_last_retry_leaves_an_incident_that_says_why(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    raising(shop, Retry("the carrier sleeps"))
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, retries=1)
        await job.settled()

    assert job.incident.message == "the carrier sleeps"


async def test_a_halt_is_an_incident_at_once(gateway: ScriptedGateway, shop: Shop) -> None:
    raising(shop, Halt("two shelves claim the lamp"))
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, retries=3)
        await job.settled()

    assert job.incident.message == "two shelves claim the lamp"
    assert job.reports == [("FailJob", "OK")]
    assert shop.effects() == []


async def test_a_bug_is_retried_after_a_pause_and_doesnt_tell_the_engine_its_data(
    gateway: ScriptedGateway, shop: Shop, log: list[str]
) -> None:
    raising(shop, ZeroDivisionError("card 4242"))
    async with shop.open():
        began = time.monotonic()
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, retries=3)
        await gateway.until(lambda: job.failures)
        waited = time.monotonic() - began

    failure = job.failures[0]
    assert (failure.retries, failure.retryBackOff) == (2, 0)
    assert waited >= 0.5
    assert "ZeroDivisionError" in failure.errorMessage
    assert "4242" not in failure.errorMessage
    assert any("ZeroDivisionError" in line and line.startswith("ERROR") for line in log)
    assert shop.effects() == []


async def test_a_bug_is_an_incident_once_the_retries_are_used_up(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    raising(shop, KeyError("shelf"))
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, retries=1)
        await job.settled()

    assert "KeyError in shop.hold_stock" in job.incident.message


async def test_a_database_that_cant_work_costs_no_retry(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    """And no back-off: the engine forgets the end of some (measured on 8.6.0)."""
    raising(shop, full_disk())
    async with shop.open() as worker:
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, retries=3)
        await gateway.until(
            lambda: any("disk is full" in reason for reason in worker.ready()), what="not ready"
        )
        await gateway.until(lambda: job.failures)

    assert {(one.retries, one.retryBackOff) for one in job.failures} == {(3, 0)}


async def test_while_the_database_cant_work_the_worker_keeps_what_it_has_and_takes_no_more(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    raising(shop, full_disk())
    async with shop.open(threads=1, group=1) as worker:
        began = time.monotonic()
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
        await gateway.until(lambda: shop.outcomes("hold_stock", "handed_back"))
        waiting = gateway.offer(HOLD_STOCK, {"sku": "chair"})
        await gateway.until(lambda: job.failures)
        kept = time.monotonic() - began
        await gateway.until(lambda: waiting.failures, what="the next one's turn")

        assert worker.slots.count == 1

    assert kept >= 0.9  # of one to two seconds


async def test_a_job_is_kept_no_longer_than_its_lock(
    gateway: ScriptedGateway, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "_OUTAGE_PAUSE", 60.0)
    raising(shop, full_disk())
    async with shop.open(lock=timedelta(seconds=3)):
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
        await gateway.until(lambda: job.failures)

    assert job.reports[0] == ("FailJob", "OK")
    assert gateway.calls_of("UpdateJobTimeout"), "its lock is extended meanwhile"


async def test_a_worker_that_stops_hands_back_at_once_what_it_kept(
    gateway: ScriptedGateway, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "_OUTAGE_PAUSE", 60.0)
    raising(shop, full_disk())
    async with shop.open(lock=timedelta(seconds=60)):
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, retries=3)
        await gateway.until(lambda: shop.outcomes("hold_stock", "handed_back"))
        stopped = time.monotonic()

    assert time.monotonic() - stopped < 4, "not only once the grace of five seconds is over"
    assert (job.deliveries, job.reports) == (1, [("FailJob", "OK")])
    assert (job.failures[0].retries, job.failures[0].retryBackOff) == (3, 0)


async def test_a_commit_with_an_unknown_end_is_followed_by_silence(
    gateway: ScriptedGateway, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It did take place here; the next delivery finds the answer and replays it."""
    commits: list[Connection] = []
    as_ever = store._commit

    def commit(connection: Connection) -> None:
        as_ever(connection)
        commits.append(connection)
        if len(commits) == 1:
            raise CommitUnknownError("the connection broke")

    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        return StockHeld(sku=sku, quantity=1)

    monkeypatch.setattr(store, "_commit", commit)
    async with shop.open(lock=timedelta(seconds=1)):
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
        await job.settled()

    assert job.deliveries == 2
    assert job.reports == [("CompleteJob", "OK")]
    assert shop.effects() == ["lamp"]


@pytest.mark.parametrize(
    "variables,named",
    [
        ({"sku": "lamp"}, "`quantity` (int): it is missing"),
        ({"sku": "lamp", "quantity": "two 4242"}, "`quantity` (int)"),
        ({"sku": "lamp", "quantity": 1.5}, "`quantity` (int)"),
        ({"sku": None, "quantity": 1}, "`sku` (str)"),
    ],
    ids=["missing", "text", "fraction", "null"],
)
async def test_a_missing_or_wrong_variable_is_an_incident_that_names_it(
    gateway: ScriptedGateway, shop: Shop, variables: dict[str, object], named: str
) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str, quantity: int) -> StockHeld:
        return StockHeld(sku=sku, quantity=quantity)

    async with shop.open():
        job = gateway.offer(HOLD_STOCK, variables)
        await job.settled()

    assert job.reports == [("FailJob", "OK")]
    assert f"shop.hold_stock needs variable {named}" in job.incident.message
    assert "4242" not in job.incident.message
    assert shop.rows() == []


@pytest.mark.parametrize(
    "value,named",
    [
        (json.loads("[" * 70 + "]" * 70), "sku"),
        (2**63, "sku"),
        ("\ud800", "sku"),
        ("x" * 1_100_000, "1,100,0"),
    ],
    ids=["nested too deep", "beyond 64 bits", "no Unicode", "too large"],
)
async def test_variables_that_the_ledger_cant_keep_are_an_incident_that_says_so(
    gateway: ScriptedGateway, shop: Shop, value: object, named: str
) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: object) -> StockHeld:
        return StockHeld(sku="lamp", quantity=1)

    async with shop.open():
        job = gateway.offer(HOLD_STOCK, {"sku": value})
        await job.settled(timeout=3)

    assert job.reports == [("FailJob", "OK")]
    assert "shop.hold_stock" in job.incident.message
    assert named in job.incident.message


async def test_a_saga_without_a_key_halts_naming_the_variable(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    raising(shop, Halt("never reached"))
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, saga_key=None)
        await job.settled()

    assert "has no variable `saga_key`" in job.incident.message
    assert str(job.process_instance) in job.incident.message


@pytest.mark.parametrize("key", ["", " order-42", "x" * 201, "a\x00b", 42, "e\u0301"])
async def test_a_key_that_cant_name_a_saga_halts(
    gateway: ScriptedGateway, shop: Shop, key: object
) -> None:
    raising(shop, Halt("never reached"))
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp", "saga_key": key}, saga_key=None)
        await job.settled()

    assert "variable `saga_key` of process instance" in job.incident.message


async def test_a_second_instance_with_the_same_key_halts_naming_both(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        return StockHeld(sku=sku, quantity=1)

    async with shop.open():
        first = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, saga_key="order-42")
        await first.settled()
        second = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, saga_key="order-42")
        await second.settled()

    assert str(first.process_instance) in second.incident.message
    assert str(second.process_instance) in second.incident.message
    assert shop.effects() == ["lamp"]


async def test_only_declared_variables_are_fetched(gateway: ScriptedGateway, shop: Shop) -> None:
    raising(shop, Halt("enough"))
    async with shop.open():
        await shop.streaming("hold_stock")

    requests = [*gateway.calls_of("StreamActivatedJobs"), *gateway.polls_of(HOLD_STOCK)]
    fetched = {tuple(call.request.fetchVariable) for call in requests}
    assert fetched == {("saga_key", "saga_digest", "loopCounter", "sku")}


async def test_a_step_may_know_its_saga_and_which_attempt_this_is(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    seen: list[Saga] = []

    @shop.service.step
    def hold_stock(session: Session, saga: Saga, sku: str) -> StockHeld:
        seen.append(saga)
        if len(seen) == 1:
            raise Retry("once", after=timedelta(0))
        return StockHeld(sku=sku, quantity=1)

    async with shop.open():
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, saga_key="order-42")
        await job.settled()

    assert [(saga.business_key, saga.attempt) for saga in seen] == [
        ("order-42", 1),
        ("order-42", 2),
    ]
    assert seen[0].key == job.process_instance
    assert seen[0].idempotency_key == seen[1].idempotency_key


async def test_a_compensation_undoes_by_the_stored_fact(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    undone: list[StockHeld] = []

    @shop.service.step
    def hold_stock(session: Session, sku: str, quantity: int) -> StockHeld:
        return StockHeld(sku=sku, quantity=quantity)

    @hold_stock.compensation
    def release_stock(session: Session, held: StockHeld) -> None:
        undone.append(held)

    async with shop.open():
        held = gateway.offer(HOLD_STOCK, LAMP)
        await held.settled()
        release = gateway.offer(
            "shop.release_stock",
            {"sku": "changed since"},
            saga_key=held.variables["saga_key"],
            process_instance=held.process_instance,
        )
        await release.settled()

    assert release.reports == [("CompleteJob", "OK")]
    assert undone == [StockHeld(sku="lamp", quantity=2)]
    assert [row["state"] for row in shop.rows()] == ["undone"]


async def test_a_compensation_with_nothing_to_undo_completes(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    raising(shop, OutOfStock("no lamps"))

    @shop.service.steps["hold_stock"].compensation
    def release_stock(session: Session, held: StockHeld) -> None:
        raise AssertionError

    async with shop.open():
        hold = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, saga_key="order-1", process_instance=1)
        await hold.settled()
        release = gateway.offer("shop.release_stock", saga_key="order-1", process_instance=1)
        await release.settled()

    assert release.reports == [("CompleteJob", "OK")]
    assert [row["state"] for row in shop.rows()] == ["refused", "fence"]


async def test_an_effect_that_no_row_tells_of_is_an_incident_until_a_person_has_undone_it(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    raising(shop, Halt("never reached"))

    @shop.service.steps["hold_stock"].compensation
    def release_stock(session: Session, held: StockHeld) -> None:
        raise AssertionError

    async with shop.open():
        release = gateway.offer("shop.release_stock")
        await release.settled()
        settled = gateway.offer("shop.release_stock", {"saga_undone_by_hand": "hold_stock"})
        await settled.settled()

    assert release.incident.message.endswith(
        'Undo it by hand, set the process variable `saga_undone_by_hand` to "hold_stock", and'
        " retry the incident"
    )
    assert settled.reports == [("CompleteJob", "OK")]
    assert [row["state"] for row in shop.rows()] == ["fence"]


async def test_a_compensation_that_refuses_halts(gateway: ScriptedGateway, shop: Shop) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        return StockHeld(sku=sku, quantity=1)

    @hold_stock.compensation
    def release_stock(session: Session, held: StockHeld) -> None:
        raise OutOfStock("the shelf is gone")

    async with shop.open():
        held = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
        await held.settled()
        release = gateway.offer(
            "shop.release_stock",
            saga_key=held.variables["saga_key"],
            process_instance=held.process_instance,
        )
        await release.settled()

    assert release.reports == [("FailJob", "OK")]
    assert (
        "release_stock may not refuse: OUT_OF_STOCK the shelf is gone" in release.incident.message
    )
    assert [row["state"] for row in shop.rows()] == ["open"]
