"""A crew: short steps leave threads alone so that jobs gather, slow ones have them all."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from sqlmodel import Session

from sagaworks import Service
from sagaworks.ledger.answers import Answer, Outcome, Say
from sagaworks.ledger.call import Delivery
from sagaworks.ledger.group import Job
from sagaworks.ledger.protocol import Ledger
from sagaworks.observe.metrics import WorkerMetrics
from sagaworks.runtime import crew as crews
from sagaworks.runtime import patience as patiences
from sagaworks.runtime.crew import Crew
from sagaworks.runtime.locks import HeldJob
from sagaworks.runtime.overlap import Overlap
from sagaworks.runtime.patience import Patience
from tests.stores.world import delivery_to

THREADS = 16

shop = Service("shop")


@shop.step
def hold(session: Session) -> None:
    """Hold something."""


class BusyLedger:
    """Carries out nothing until it's let go, and notes what came together."""

    def __init__(self, took: float) -> None:
        self.took = took
        self.hands: list[int] = []
        self.go = threading.Event()

    def run(self, _task: object, delivery: Delivery, *_: object) -> Answer:
        return self._work([delivery])[0]

    def run_group(self, _task: object, jobs: Sequence[Job]) -> list[Answer]:
        return self._work([job.delivery for job in jobs])

    def _work(self, deliveries: list[Delivery]) -> list[Answer]:
        self.hands.append(len(deliveries))
        assert self.go.wait(10)
        for delivery in deliveries:
            delivery.took(self.took)
        return [Answer(Outcome.EXECUTED, Say.COMPLETE) for _ in deliveries]


async def begun(ledger: BusyLedger, jobs: int, group: int = 16, most: int = THREADS) -> int:
    """Return how many hands are at work once so many jobs were handed over at once.

    One job before them has told how long a step takes; `most` hands are waited for.
    """
    async with crew_of(ledger, group) as crew:
        ledger.go.clear()
        answers = [come(crew, number) for number in range(1, jobs + 1)]
        await until_at_work(ledger, most)
        found = len(ledger.hands)
        ledger.go.set()
        await asyncio.gather(*answers)
        return found


@asynccontextmanager
async def crew_of(
    ledger: BusyLedger, group: int = 16, answer_takes: float = 0.0
) -> AsyncIterator[Crew]:
    """Give a crew that has learnt how long a step takes, and so long the engine's answers."""
    with ThreadPoolExecutor(THREADS) as pool:
        metrics, patience = WorkerMetrics(CollectorRegistry()), Patience()
        crew = Crew(cast("Ledger", ledger), None, pool, THREADS, group, metrics, patience)
        ledger.go.set()
        await crew.carry_out(held(0), delivery_to(hold, job=100))
        ledger.hands.clear()
        for _ in range(100):
            patience.heard(answer_takes)
        yield crew


def come(crew: Crew, number: int) -> asyncio.Task[Answer]:
    delivery = delivery_to(hold, job=number, saga=f"{number}")
    return asyncio.create_task(crew.carry_out(held(number), delivery))


async def until_at_work(ledger: BusyLedger, hands: int) -> None:
    async with asyncio.timeout(10):
        while len(ledger.hands) < hands:  # noqa: ASYNC110  threads know no loop
            await asyncio.sleep(0.001)


def held(number: int) -> HeldJob:
    message: Any = SimpleNamespace(key=number)
    return HeldJob(message, hold, expires=float("inf"))


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have short jobs wait however slow the machine is just now."""
    monkeypatch.setattr(crews, "_AHEAD", 60.0)


@pytest.mark.usefixtures("unhurried")
def test_short_jobs_gather_while_a_few_threads_are_at_work() -> None:
    ledger = BusyLedger(took=0.001)
    few = Overlap().threads

    found = asyncio.run(begun(ledger, 12, most=few))

    assert found == few
    assert sum(ledger.hands) == 12
    assert max(ledger.hands) == 12 - few


def test_a_short_job_that_has_waited_long_waits_for_no_more_company(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crews, "_AHEAD", 0.01)
    ledger = BusyLedger(took=0.001)

    few = Overlap().threads

    found = asyncio.run(begun(ledger, 20, most=few + 1))

    assert found > few


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("took, group", [(1.0, 16), (0.001, 0)])
def test_slow_jobs_and_those_that_may_not_share_have_all_threads(took: float, group: int) -> None:
    ledger = BusyLedger(took)

    assert asyncio.run(begun(ledger, 20, group)) == THREADS


async def one_after_the_other(crew: Crew, numbers: range) -> list[asyncio.Task[Answer]]:
    """Hand jobs over; each has every chance to begin before the next comes."""
    answers = []
    for number in numbers:
        answers.append(come(crew, number))
        for _ in range(5):
            await asyncio.sleep(0)
    return answers


@pytest.mark.usefixtures("unhurried")
def test_jobs_gather_while_the_engine_is_slow_to_answer() -> None:
    ledger = BusyLedger(took=0.001)

    async def work() -> None:
        async with crew_of(ledger, answer_takes=0.5) as crew:
            answers = await one_after_the_other(crew, range(1, 6))
            async with asyncio.timeout(10):
                await asyncio.gather(*answers)

    asyncio.run(work())

    assert ledger.hands == [5]


@pytest.mark.usefixtures("unhurried")
def test_a_whole_group_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patiences, "_LONGEST", 60.0)
    ledger = BusyLedger(took=0.001)

    async def work() -> None:
        async with crew_of(ledger, group=4, answer_takes=600.0) as crew:
            answers = await one_after_the_other(crew, range(1, 9))
            async with asyncio.timeout(10):
                await asyncio.gather(*answers)

    asyncio.run(work())

    assert ledger.hands == [4, 4]


@pytest.mark.usefixtures("unhurried")
def test_nobody_waits_for_company_while_the_engine_is_at_ease() -> None:
    ledger = BusyLedger(took=0.001)
    few = Overlap().threads

    async def work() -> None:
        async with crew_of(ledger, answer_takes=0.02) as crew:
            answers = await one_after_the_other(crew, range(1, few + 1))
            async with asyncio.timeout(10):
                await asyncio.gather(*answers)

    asyncio.run(work())

    assert ledger.hands == [1] * few


async def until_for_a_minute(crew: Crew) -> None:
    """Return once what waits has done with company, and waits for a thread that comes free."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        while not crew._look or crew._look.when() < loop.time() + 10:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.mark.usefixtures("unhurried")
def test_a_job_waits_no_longer_for_company_than_it_may_though_others_wait_for_a_thread() -> None:
    ledger = BusyLedger(took=0.001)
    few = Overlap().threads

    async def work() -> None:
        async with crew_of(ledger, group=2, answer_takes=0.5) as crew:
            ledger.go.clear()
            both = [come(crew, number) for number in range(1, 2 * few + 1)]
            await until_at_work(ledger, few)
            late = come(crew, 90)
            await until_for_a_minute(crew)
            ledger.go.set()
            await asyncio.gather(*both, late)
            async with asyncio.timeout(10):
                await come(crew, 91)

    asyncio.run(work())

    assert ledger.hands == [2] * few + [1, 1]
