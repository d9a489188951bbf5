"""Jobs that wait for a thread share a transaction; each is answered as if it had been alone."""

import asyncio
import itertools
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session

from sagaworks import Refusal, Retry
from sagaworks.ledger.points import Point, hooked
from sagaworks.runtime.worker import Worker
from sagaworks.saga import JobKey
from sagaworks.testing import ScriptedGateway
from sagaworks.testing.gateway import ScriptedJob
from tests.runtime.shop import Effect, Shop, StockHeld, in_flight

pytestmark = pytest.mark.anyio

HOLD_STOCK = "shop.hold_stock"
DONE = [("CompleteJob", "OK")]


class OutOfStock(Refusal):
    """None left."""


@pytest.fixture(autouse=True)
def hold_stock(shop: Shop) -> None:
    """Give the shop a step that waits for the test at the product `gate`, and can fail."""

    @shop.service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        session.flush()
        if sku == "gate":
            shop.gate.wait()
        if sku == "none left":
            raise OutOfStock(sku)
        if sku == "later":
            raise Retry(sku, after=timedelta(seconds=60))
        if sku == "bug":
            raise ValueError(sku)
        return StockHeld(sku=sku, quantity=1)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have jobs wait in hand and in groups however slow the machine is just now."""
    monkeypatch.setattr("sagaworks.runtime.crew._AHEAD", 60.0)
    monkeypatch.setattr("sagaworks.runtime.pace._TOGETHER", 60.0)


@asynccontextmanager
async def backlog(
    shop: Shop, *skus: str, **settings: Any
) -> AsyncIterator[tuple[Worker, list[ScriptedJob]]]:
    """Give a worker with jobs in hand that wait for its only thread, until the gate opens."""
    gateway = shop.gateway
    async with shop.open(threads=1, **settings) as worker:
        await shop.streaming("hold_stock")
        # Until a job has been measured, none is taken in advance.
        await gateway.offer(HOLD_STOCK, {"sku": "first"}).settled()
        gateway.offer(HOLD_STOCK, {"sku": "gate"})
        await gateway.until(lambda: shop.gate.inside)
        jobs = [gateway.offer(HOLD_STOCK, {"sku": sku}) for sku in skus]
        await gateway.until(lambda: in_flight(worker) == 1 + len(skus))
        yield worker, jobs


def taken_up(worker: Worker) -> tuple[float, float]:
    """How many times a thread took up jobs, and how many jobs that were."""
    of_step = {"step": "hold_stock"}
    times, jobs = (
        worker.metrics.registry.get_sample_value(f"sagaworks_group_jobs_{what}", of_step) or 0
        for what in ("count", "sum")
    )
    return times, jobs


def the_groups_commit_fails(worker: Worker, error_code: int) -> None:
    """Let the commit after that of the job at the gate fail, undone, with SQLite's code."""
    dialect = worker.store.engine.dialect
    commit = dialect.do_commit
    of_steps = itertools.count(1)

    def fail(connection: Any) -> None:
        marks = threading.current_thread().name.startswith("marks")
        if marks or next(of_steps) != 2:
            commit(connection)
            return
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = error_code
        raise error

    dialect.do_commit = fail  # type: ignore[method-assign]


async def settled(*jobs: ScriptedJob) -> None:
    await asyncio.gather(*(job.settled() for job in jobs))


async def test_jobs_that_wait_share_a_transaction(gateway: ScriptedGateway, shop: Shop) -> None:
    async with backlog(shop, "a", "b", "c") as (worker, jobs):
        shop.gate.open()
        await settled(*jobs)

        assert taken_up(worker) == (3, 5)

    assert [job.reports for job in jobs] == [DONE] * 3
    assert shop.effects() == ["first", "gate", "a", "b", "c"]


async def test_a_group_begins_and_commits_beside_what_each_of_its_jobs_reaches(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    told: list[tuple[Point, JobKey | None]] = []
    async with backlog(shop, "a", "b") as (_, jobs):
        with hooked(lambda point, job: told.append((point, job))):
            shop.gate.open()
            await settled(*jobs)

    keys = {job.key for job in jobs}
    grouped = [point for point, key in told if key in keys or key is None]
    mine = [Point.BEGIN, Point.CLAIMED, Point.EFFECT, Point.COMMIT]
    begun = grouped.index(Point.BEGIN)
    assert grouped[begun : begun + 10] == [Point.BEGIN, *mine, *mine, Point.COMMIT]


async def test_a_refusal_and_errors_are_told_of_their_own_jobs_only(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    async with backlog(shop, "a", "none left", "later") as (_, jobs):
        shop.gate.open()
        await settled(jobs[0], jobs[1])
        await gateway.until(lambda: jobs[2].reports)

        assert shop.outcomes("hold_stock", "refused") == 1
        assert shop.outcomes("hold_stock", "retry") == 1

    assert [job.reports for job in jobs] == [DONE, [("ThrowError", "OK")], [("FailJob", "OK")]]
    assert shop.effects() == ["first", "gate", "a"]


async def test_a_bug_is_told_once_and_by_its_own_job(
    gateway: ScriptedGateway, shop: Shop, log: list[str]
) -> None:
    async with backlog(shop, "a", "bug", "b") as (_, jobs):
        shop.gate.open()
        await settled(jobs[0], jobs[2])
        await gateway.until(lambda: jobs[1].failures)
        # Now: it comes again, perhaps before the worker has stopped.
        told = [line for line in log if line.startswith("ERROR")]

    assert jobs[1].failures[0].retries == 2
    assert len(told) == 1
    assert shop.effects() == ["first", "gate", "a", "b"]


async def test_nothing_is_told_where_nobody_knows_whether_the_group_was_committed(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    async with backlog(shop, "a", "b", "c") as (worker, jobs):
        the_groups_commit_fails(worker, sqlite3.SQLITE_IOERR_FSYNC)
        shop.gate.open()
        await gateway.until(lambda: shop.outcomes("hold_stock", "unknown") == 3)

        assert [job.reports for job in jobs] == [[]] * 3
        await settled(*jobs)

    assert [job.deliveries for job in jobs] == [2, 2, 2]
    assert [job.reports for job in jobs] == [DONE] * 3
    assert sorted(shop.effects()) == ["a", "b", "c", "first", "gate"]


async def test_a_group_that_could_not_commit_is_carried_out_job_by_job(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    async with backlog(shop, "a", "b", "c") as (worker, jobs):
        the_groups_commit_fails(worker, sqlite3.SQLITE_FULL)
        shop.gate.open()
        await settled(*jobs)

        assert taken_up(worker) == (6, 8)
        assert worker.metrics.groups_broken.labels("hold_stock")._value.get() == 1

    assert [job.deliveries for job in jobs] == [1, 1, 1]
    assert [job.reports for job in jobs] == [DONE] * 3
    assert shop.effects() == ["first", "gate", "a", "b", "c"]


async def test_a_job_whose_lock_runs_out_while_it_waits_in_hand_isnt_begun(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    async with backlog(shop, "a", lock=timedelta(seconds=1)) as (_, jobs):
        await gateway.until(lambda: jobs[0].deliveries == 2, what="the engine gives it again")
        shop.gate.open()
        await settled(*jobs)
        await gateway.until(lambda: shop.outcomes("hold_stock", "expired"))

    assert jobs[0].reports == DONE
    assert shop.effects() == ["first", "gate", "a"]


async def test_without_groups_a_job_without_a_thread_stays_outside(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    async with shop.open(threads=1, group=0) as worker:
        await shop.streaming("hold_stock")
        await gateway.offer(HOLD_STOCK, {"sku": "first"}).settled()
        await gateway.until(lambda: worker.slots.taken == 0)

        assert worker.slots.count == 1


async def test_jobs_that_wait_in_hand_are_finished_by_a_worker_that_stops(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    async with backlog(shop, "a", "b", "c") as (_, jobs):
        pass

    assert [job.reports for job in jobs] == [DONE] * 3


async def test_jobs_that_wait_behind_one_that_hangs_are_handed_back_with_their_retries(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    worker = Worker(shop.service, shop.settings_with(threads=1, grace=timedelta(seconds=0.2)))
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await shop.streaming("hold_stock")
    await gateway.offer(HOLD_STOCK, {"sku": "first"}).settled()
    gateway.offer(HOLD_STOCK, {"sku": "gate"})
    await gateway.until(lambda: shop.gate.inside)
    waiting = gateway.offer(HOLD_STOCK, {"sku": "a"}, retries=1)
    await gateway.until(lambda: in_flight(worker) == 2)
    stop.set()

    assert await running == 1, "the one that hangs"
    assert [failure.retries for failure in waiting.failures] == [1]
    shop.gate.open()
