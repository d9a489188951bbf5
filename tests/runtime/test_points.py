"""The points of an execution's life are reached in the order that their names promise."""

from collections.abc import Iterator

import pytest
from sqlmodel import Session

from sagaworks import Refusal
from sagaworks.ledger.points import Point, hooked
from sagaworks.saga import JobKey
from sagaworks.testing import ScriptedGateway
from sagaworks.testing.gateway import LoseReply
from tests.runtime.shop import Effect, Shop, StockHeld

pytestmark = pytest.mark.anyio

LAMP = {"sku": "lamp"}


class OutOfStock(Refusal):
    """None left."""


@pytest.fixture
def told() -> Iterator[list[tuple[Point, JobKey | None]]]:
    """Every point reached, with its job."""
    points: list[tuple[Point, JobKey | None]] = []
    with hooked(lambda point, job: points.append((point, job))):
        yield points


async def carried_out(
    gateway: ScriptedGateway,
    shop: Shop,
    told: list[tuple[Point, JobKey | None]],
    job_type: str = "shop.hold_stock",
) -> list[Point]:
    """Let the worker carry out one job; return the points that it has reached, each for this job.

    A mark has no job, and may come at any time.
    """
    already = len(told)
    async with shop.open():
        job = gateway.offer(job_type, LAMP, process_instance=7, saga_key="order-1")
        await gateway.until(lambda: (Point.REPORTED, job.key) in told)
    mine = [point for point, key in told[already:] if key == job.key]
    assert len(mine) == len([key for _, key in told[already:] if key is not None])
    return mine


async def test_a_step_is_claimed_done_and_committed_before_it_is_reported(
    gateway: ScriptedGateway, shop: Shop, told: list[tuple[Point, JobKey | None]]
) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        return StockHeld(sku=sku, quantity=1)

    assert await carried_out(gateway, shop, told) == [
        Point.RECEIVED,
        Point.BEGIN,
        Point.CLAIMED,
        Point.EFFECT,
        Point.COMMIT,
        Point.COMMITTED,
        Point.REPORTED,
    ]
    assert told[-2:] == [(Point.MARK, None), (Point.MARKED, None)]


async def test_a_refusal_begins_and_commits_once_more(
    gateway: ScriptedGateway, shop: Shop, told: list[tuple[Point, JobKey | None]]
) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        raise OutOfStock(f"{sku}: none")

    assert await carried_out(gateway, shop, told) == [
        Point.RECEIVED,
        Point.BEGIN,
        Point.CLAIMED,
        Point.BEGIN,
        Point.CLAIMED,
        Point.COMMIT,
        Point.COMMITTED,
        Point.REPORTED,
    ]


async def test_a_remote_step_commits_its_intent_before_the_call_and_its_answer_after(
    gateway: ScriptedGateway, shop: Shop, told: list[tuple[Point, JobKey | None]]
) -> None:
    @shop.service.remote_step
    def hold_stock(sku: str) -> StockHeld:
        return StockHeld(sku=sku, quantity=1)

    assert await carried_out(gateway, shop, told) == [
        Point.RECEIVED,
        Point.BEGIN,
        Point.COMMIT,
        Point.CALL,
        Point.CALLED,
        Point.COMMIT,
        Point.COMMITTED,
        Point.REPORTED,
    ]


async def test_a_compensation_reaches_the_same_points_as_its_step(
    gateway: ScriptedGateway, shop: Shop, told: list[tuple[Point, JobKey | None]]
) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        return StockHeld(sku=sku, quantity=1)

    @hold_stock.compensation
    def release_stock(session: Session, held: StockHeld) -> None:
        return None

    forward = await carried_out(gateway, shop, told)
    backward = await carried_out(gateway, shop, told, "shop.release_stock")

    assert backward == forward


async def test_the_undo_of_a_remote_step_is_bound_to_its_job_before_the_call(
    gateway: ScriptedGateway, shop: Shop, told: list[tuple[Point, JobKey | None]]
) -> None:
    @shop.service.remote_step
    def hold_stock(sku: str) -> StockHeld:
        return StockHeld(sku=sku, quantity=1)

    @hold_stock.compensation
    def release_stock(held: StockHeld) -> None:
        return None

    forward = await carried_out(gateway, shop, told)
    backward = await carried_out(gateway, shop, told, "shop.release_stock")

    assert backward == forward


async def test_a_report_whose_reply_is_lost_is_counted_by_a_commit_before_it_is_sent_again(
    gateway: ScriptedGateway, shop: Shop, told: list[tuple[Point, JobKey | None]]
) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        return StockHeld(sku=sku, quantity=1)

    gateway.script("CompleteJob", [LoseReply()])
    async with shop.open():
        job = gateway.offer("shop.hold_stock", LAMP)
        await gateway.until(lambda: told.count((Point.REPORTED, job.key)) > 1)

    mine = [point for point, key in told if key == job.key]
    again = [Point.COMMIT, Point.COMMITTED, Point.REPORTED]
    assert mine[-4:] == [Point.REPORTED, *again]


async def test_the_engine_is_asked_between_two_transactions(
    gateway: ScriptedGateway, shop: Shop, told: list[tuple[Point, JobKey | None]]
) -> None:
    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        return StockHeld(sku=sku, quantity=1)

    first = await carried_out(gateway, shop, told)
    under_another_key = await carried_out(gateway, shop, told)

    assert first.count(Point.ASK) == 0
    assert under_another_key == [
        Point.RECEIVED,
        *(Point.BEGIN, Point.COMMIT, Point.ASK) * 2,
        Point.BEGIN,
        Point.COMMIT,
        Point.COMMITTED,
        Point.REPORTED,
    ]
