"""A crew: short steps leave threads alone so that jobs gather, slow ones have them all."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
from sagaworks.runtime.crew import Crew
from sagaworks.runtime.locks import HeldJob
from sagaworks.runtime.overlap import Overlap
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
    with ThreadPoolExecutor(THREADS) as pool:
        metrics = WorkerMetrics(CollectorRegistry())
        crew = Crew(cast("Ledger", ledger), None, pool, THREADS, group, metrics)
        ledger.go.set()
        await crew.carry_out(held(0), delivery_to(hold, job=100))
        ledger.go.clear()
        ledger.hands.clear()
        answers = [
            asyncio.create_task(crew.carry_out(held(n), delivery_to(hold, job=n, saga=f"{n}")))
            for n in range(1, jobs + 1)
        ]
        async with asyncio.timeout(10):
            while len(ledger.hands) < most:  # noqa: ASYNC110  threads know no loop
                await asyncio.sleep(0.001)
        found = len(ledger.hands)
        ledger.go.set()
        await asyncio.gather(*answers)
        return found


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
