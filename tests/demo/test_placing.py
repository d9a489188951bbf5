"""The watch over the orders: it ends when they do, and tells who doesn't."""

import asyncio
from collections import Counter
from typing import Any, Self

import pytest

from demo import people, placing
from demo.errors import DemoError, StuckError
from demo.placing import Placing
from demo.plan import make_plan
from demo.readings import Counts
from sagaworks.settings import Settings


class FakeReadings:
    """Workers that say what a test tells them to."""

    def __init__(self) -> None:
        self.counts: Counts = Counter()
        self.states: dict[str, str] = {}

    def jobs(self) -> Counts:
        return self.counts

    def query(self, _service: str, _name: str) -> list[dict[str, str]]:
        return [{"order": key, "status": status} for key, status in self.states.items()]

    def ledger(self, service: str, key: str) -> list[dict[str, Any]]:
        known = service == "orders" and key in self.states
        at = "2025-01-01T10:00:00.000+00:00"
        return [{"step": "accept_order", "event": "executed", "at": at}] if known else []


class FakeStarter:
    """An engine that takes every saga."""

    started: list[str]

    def __init__(self, *_: object) -> None:
        FakeStarter.started = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close nothing."""

    async def start(self, _process: str, *, key: str, variables: dict[str, object]) -> None:
        assert "sku" in variables
        self.started.append(key)


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "Starter", FakeStarter)
    monkeypatch.setattr(placing, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(people, "approve", lambda *_: None)


@pytest.fixture
def readings() -> FakeReadings:
    return FakeReadings()


def run(readings: FakeReadings, **options: Any) -> list[str]:
    """Place ten orders; return what was shown."""
    shown: list[str] = []
    options = {"check": lambda: None, "patience": 5.0} | options
    watch = Placing(make_plan(10, seed=1), Settings.load({}), readings, **options)
    asyncio.run(watch.run(lambda progress: shown.append(progress.summary())))
    return shown


def test_the_watch_ends_with_the_last_order(readings: FakeReadings) -> None:
    readings.counts = Counter(
        {("ship_stock", "executed"): 6, ("reject_order", "compensated"): 3}
        | {("accept_order", "refused"): 1}
    )

    shown = run(readings)

    assert len(FakeStarter.started) == 10
    assert "10 of 10 started, 0 in flight, 6 done, 3 undone, 1 refused" in shown[-1]


def test_orders_that_do_not_move_are_named_with_where_they_are(readings: FakeReadings) -> None:
    readings.states = {f"order-{n:04}": "confirmed" for n in range(1, 10)} | {
        "order-0010": "accepted"
    }

    with pytest.raises(StuckError) as stuck:
        run(readings, patience=0.1)

    assert "1 orders haven't moved" in str(stuck.value)
    assert "order-0010: accept_order executed at 2025-01-01T10:00" in str(stuck.value)


def test_an_order_that_nobody_heard_of_is_stuck_too(readings: FakeReadings) -> None:
    with pytest.raises(StuckError, match="no service has heard of it"):
        run(readings, patience=0.1)


def test_the_books_are_believed_where_the_counts_are_behind(readings: FakeReadings) -> None:
    """A worker that was restarted has forgotten its counts."""
    readings.states = {f"order-{n:04}": "confirmed" for n in range(1, 11)}

    run(readings, patience=0.1)


def test_no_more_than_the_limit_is_in_flight(
    readings: FakeReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "IN_FLIGHT", 4)

    with pytest.raises(StuckError):
        run(readings, patience=0.1)

    assert len(FakeStarter.started) == 4


def test_a_worker_that_has_ended_ends_the_run(readings: FakeReadings) -> None:
    def check() -> None:
        raise DemoError("payments has ended")

    with pytest.raises(DemoError, match="payments has ended"):
        run(readings, check=check)


def test_a_start_that_fails_ends_the_run(
    readings: FakeReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise DemoError("the engine refused")

    monkeypatch.setattr(FakeStarter, "start", fail)

    with pytest.raises(DemoError, match="the engine refused"):
        run(readings)
