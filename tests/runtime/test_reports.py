"""Answers reach the engine: sent until it has them, and never more than is true."""

from datetime import timedelta

import grpc
import pytest
from sqlmodel import Session

from sagaworks import Halt, Refusal
from sagaworks.ledger.faults import CommitUnknownError, DatabaseUnavailableError
from sagaworks.ledger.protocol import Ledger
from sagaworks.testing import Fail, Hold, LoseReply, ScriptedGateway
from tests.runtime.shop import Effect, Shop, StockHeld

pytestmark = pytest.mark.anyio

HOLD_STOCK = "shop.hold_stock"
LAMP = {"sku": "lamp", "quantity": 2}


class OutOfStock(Refusal):
    """None left."""


@pytest.fixture
def hold_stock(shop: Shop) -> None:
    """Give the shop a step that always takes effect."""

    @shop.service.step
    def hold_stock(session: Session, sku: str, quantity: int) -> StockHeld:
        session.add(Effect(sku=sku))
        return StockHeld(sku=sku, quantity=quantity)


async def test_a_fact_is_completed_as_one_variable_named_after_it(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, LAMP)
        await job.settled()

    assert job.answer == {"stock_held": {"sku": "lamp", "quantity": 2}}
    assert job.reports == [("CompleteJob", "OK")]
    assert shop.effects() == ["lamp"]


async def test_an_accepted_answer_is_marked_as_counted(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    async with shop.open():
        await gateway.offer(HOLD_STOCK, LAMP).settled()

    [row] = shop.rows()
    assert (row["state"], row["reports"]) == ("open", 1)
    assert row["counted_at"] is not None


async def test_a_completion_whose_reply_is_lost_is_sent_again_and_takes_effect_once(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None, log: list[str]
) -> None:
    gateway.script("CompleteJob", [LoseReply()])
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, LAMP)
        await gateway.until(lambda: job.reports[1:] and job.reports[1][1] != "OPEN")

    assert job.reports == [("CompleteJob", "UNAVAILABLE"), ("CompleteJob", "NOT_FOUND")]
    assert shop.effects() == ["lamp"]
    assert not [line for line in log if line.startswith(("ERROR", "WARNING"))]


async def test_a_second_report_is_counted_before_it_is_sent(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    second = Hold()
    gateway.script("CompleteJob", [LoseReply(), second])
    async with shop.open():
        gateway.offer(HOLD_STOCK, LAMP)
        await second.reached()

        [row] = shop.rows()
        second.release()

    assert row["reports"] == 2
    assert shop.rows()[0]["counted_at"] is None, "NOT_FOUND proves nothing"


async def test_a_completion_that_finds_no_job_is_no_error(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None, log: list[str]
) -> None:
    gateway.script("CompleteJob", [hold := Hold()])
    async with shop.open() as worker:
        cancelled = gateway.offer(HOLD_STOCK, LAMP)
        await hold.reached()
        gateway.cancel(cancelled)
        hold.release()
        following = gateway.offer(HOLD_STOCK, LAMP)
        await following.settled()
        outcomes = worker.metrics.outcomes
        counts = {
            outcome: outcomes.labels("hold_stock", outcome)._value.get()
            for outcome in ("executed", "in_doubt")
        }

    assert cancelled.reports == [("CompleteJob", "NOT_FOUND")]
    assert following.reports == [("CompleteJob", "OK")]
    assert counts == {"executed": 2, "in_doubt": 1}
    assert not [line for line in log if line.startswith(("ERROR", "WARNING"))]


@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL, grpc.StatusCode.ABORTED],
    ids=lambda code: code.name,
)
async def test_a_completion_that_the_engine_puts_off_is_repeated_in_milliseconds(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None, code: grpc.StatusCode
) -> None:
    gateway.script("CompleteJob", [Fail(code) for _ in range(5)])
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, LAMP)
        await job.settled()

    assert job.reports == [("CompleteJob", code.name)] * 5 + [("CompleteJob", "OK")]
    assert job.calls[5].at - job.calls[0].at < 1.0
    assert shop.effects() == ["lamp"]


@pytest.mark.parametrize("error", [DatabaseUnavailableError, CommitUnknownError])
@pytest.mark.usefixtures("hold_stock")
async def test_a_report_that_the_database_cannot_count_waits_until_it_can(
    gateway: ScriptedGateway,
    shop: Shop,
    log: list[str],
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:
    """Engine and database break at once: what isn't counted isn't sent, and nothing is lost."""
    gateway.script("CompleteJob", [Fail(grpc.StatusCode.UNAVAILABLE)])
    count, tries = Ledger.report_again, []

    def break_twice(ledger: Ledger, row: int, job: int) -> None:
        tries.append(len(gateway.calls))
        if len(tries) <= 2:
            raise error("the server is being restarted")
        count(ledger, row, job)

    monkeypatch.setattr(Ledger, "report_again", break_twice)
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, LAMP)
        await job.settled()

    assert len(tries) == 3
    assert job.answer == {"stock_held": {"sku": "lamp", "quantity": 2}}
    assert shop.rows()[0]["reports"] == 2
    assert not [line for line in log if line.startswith(("ERROR", "WARNING"))]


async def test_backpressure_isnt_counted_as_a_report(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    gateway.script("CompleteJob", [Fail(grpc.StatusCode.RESOURCE_EXHAUSTED)] * 2)
    async with shop.open():
        await gateway.offer(HOLD_STOCK, LAMP).settled()

    assert shop.rows()[0]["reports"] == 1


async def test_a_doubtful_completion_is_never_followed_by_a_failure(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    unavailable = grpc.StatusCode.UNAVAILABLE
    async with shop.open(lock=timedelta(seconds=1)):
        with (
            gateway.failing("CompleteJob", unavailable),
            gateway.failing("UpdateJobTimeout", unavailable),
        ):
            job = gateway.offer(HOLD_STOCK, LAMP)
            await gateway.until(lambda: job.deliveries == 2)
        await job.settled()

    assert {method for method, _ in job.reports} == {"CompleteJob"}
    assert shop.effects() == ["lamp"]


async def test_a_frozen_engine_gets_the_answer_once_it_thaws(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    async with shop.open(lock=timedelta(seconds=1)):
        await shop.streaming("hold_stock")
        gateway.script("CompleteJob", [hold := Hold()])
        job = gateway.offer(HOLD_STOCK, LAMP)
        await hold.reached()
        with gateway.frozen():
            await gateway.until(lambda: job.deliveries == 2 or job.state.name == "ACTIVATABLE")
            await gateway.until(lambda: gateway.calls_of("CompleteJob")[0].ended)
        await job.settled()

    assert job.reports[0] == ("CompleteJob", "CANCELLED")
    assert job.reports[-1][1] in ("OK", "NOT_FOUND")
    assert job.answer is not None
    assert shop.effects() == ["lamp"]


async def test_an_answer_that_is_delivered_again_is_replayed_byte_by_byte(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    gateway.script("CompleteJob", [hold := Hold()])
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, LAMP)
        await hold.reached()
        job.variables = {**job.variables, "quantity": 5}
        gateway.redeliver(job)
        await job.settled()
        hold.release()

    first, second = gateway.calls_of("CompleteJob")
    assert first.request.variables == second.request.variables
    assert job.answer == {"stock_held": {"sku": "lamp", "quantity": 2}}
    assert shop.effects() == ["lamp"]


async def test_an_answer_that_the_engine_refuses_for_good_becomes_an_incident(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    gateway.script("CompleteJob", [Fail(grpc.StatusCode.INVALID_ARGUMENT, "no object")])
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, LAMP)
        await job.settled()

    assert job.reports == [("CompleteJob", "INVALID_ARGUMENT"), ("FailJob", "OK")]
    assert "no object" in job.incident.message


async def test_an_answer_that_is_too_large_for_the_engine_becomes_an_incident(
    gateway: ScriptedGateway, shop: Shop, hold_stock: None
) -> None:
    """It says so with UNKNOWN (measured); sent again at each lock's end it would go on for ever."""
    with gateway.failing("CompleteJob", grpc.StatusCode.UNKNOWN, "EXCEEDED_BATCH_RECORD_SIZE"):
        async with shop.open(lock=timedelta(seconds=1)):
            job = gateway.offer(HOLD_STOCK, LAMP)
            await job.settled(timeout=3)

    assert job.reports == [("CompleteJob", "UNKNOWN"), ("FailJob", "OK")]
    assert "EXCEEDED_BATCH_RECORD_SIZE" in job.incident.message


async def test_a_refusal_is_thrown_with_its_code_and_leaves_no_effect(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        raise OutOfStock(f"{sku}: none left")

    async with shop.open():
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
        await job.settled()

    assert job.reports == [("ThrowError", "OK")]
    assert (job.thrown.errorCode, job.thrown.errorMessage) == ("OUT_OF_STOCK", "lamp: none left")
    assert shop.effects() == []
    [row] = shop.rows()
    assert (row["state"], row["throw_accepted"]) == ("refused", True)


async def test_a_refusal_whose_reply_is_lost_is_thrown_again(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        raise OutOfStock(sku)

    gateway.script("ThrowError", [LoseReply()])
    async with shop.open():
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
        await gateway.until(lambda: job.reports[1:] and job.reports[1][1] != "OPEN")

    assert job.reports == [("ThrowError", "UNAVAILABLE"), ("ThrowError", "NOT_FOUND")]
    assert len(shop.rows()) == 1


async def test_an_uncaught_refusal_is_decided_afresh_once_its_incident_is_resolved(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    stock: list[str] = []

    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        if sku not in stock:
            raise OutOfStock(sku)
        session.add(Effect(sku=sku))
        return StockHeld(sku=sku, quantity=1)

    async with shop.open():
        job = gateway.offer(HOLD_STOCK, {"sku": "lamp"}, catches=[])
        await job.settled()
        await gateway.until(lambda: shop.rows()[0]["throw_accepted"])
        stock.append("lamp")
        gateway.resolve(job)
        await job.settled()

    assert job.reports == [("ThrowError", "OK"), ("CompleteJob", "OK")]
    assert [row["round"] for row in shop.rows()] == [1, 2]


async def test_nothing_is_failed_once_the_lock_has_ended(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    """A zombie's fail puts the job of the worker that now holds it into an incident."""

    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        if not shop.gate.arrived:
            shop.gate.wait()
            raise Halt("the zombie speaks")
        session.add(Effect(sku=sku))
        return StockHeld(sku=sku, quantity=1)

    async with shop.open(lock=timedelta(seconds=1)):
        with gateway.failing("UpdateJobTimeout", grpc.StatusCode.UNAVAILABLE):
            job = gateway.offer(HOLD_STOCK, {"sku": "lamp"})
            await gateway.until(lambda: job.deliveries == 2)
        shop.gate.open()
        await job.settled()

    assert job.reports == [("CompleteJob", "OK")]
    assert shop.effects() == ["lamp"]
