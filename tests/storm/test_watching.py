"""Who watches a storm: sums that are wrong are seen, and so is a fault that doesn't happen."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from models.inventory import Stock
from models.payments import Card, Charge
from sagaworks.ledger.store import Store
from sagaworks.project import Project
from sagaworks.testing.databases import make_tables
from tests.faults.real.records import eventually
from tests.faults.real.works import Nursery
from tests.storm.reader import Reader
from tests.storm.weather import Climate, Weather

SOON = 10.0


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[dict[str, Store]]:
    found = {}
    for name in ("payments", "inventory"):
        url = f"sqlite:///{tmp_path}/{name}.db"
        make_tables(name, url, Project.load())
        found[name] = Store(url)
    yield found
    for store in found.values():
        store.close()


def read(stores: dict[str, Store]) -> list[str]:
    """What a reader complains of that has read everything once at least."""
    reader = Reader(SimpleNamespace(stores=stores))
    reader.start()
    eventually(lambda: reader.sums >= 2, SOON, "it has read money and stock")
    reader.stop()
    return sorted({*reader.wrong})


def trade(stores: dict[str, Store], *, left: int, available: int) -> None:
    """A card of 100 was charged 10, and 20 that it got back; 2 of 7 lamps are held, 1 shipped."""
    with stores["payments"].session() as session:
        session.add(Card(number="card", balance=Decimal(left), opened_with=Decimal(100)))
        session.add(Charge(order_key="a", card="card", amount=Decimal(10)))
        session.add(Charge(order_key="b", card="card", amount=Decimal(20), refunded=True))
    with stores["inventory"].session() as session:
        session.add(Stock(sku="lamp", available=available, held=2, shipped=1, received=7))


def test_sums_that_are_right_are_no_complaint(stores: dict[str, Store]) -> None:
    trade(stores, left=90, available=4)

    assert read(stores) == []


def test_a_sum_that_is_wrong_for_a_moment_is_seen(stores: dict[str, Store]) -> None:
    trade(stores, left=70, available=5)

    stock, money = read(stores)

    assert stock == "inventory: lamp: 7 received, 8 found"
    assert money.startswith("payments: 100")
    assert money.endswith("charged")


def test_a_fault_that_does_not_happen_is_a_violation() -> None:
    """There's nobody to be killed here."""
    looks = []
    nowhere = SimpleNamespace(servers=[])
    nursery = SimpleNamespace(pids=lambda service: looks.append(service) or [])
    weather = Weather(nowhere, nursery, 1, Climate(worker=0.01, databases=60, engine=60))

    weather.start()
    eventually(lambda: len(looks) > 12, SOON, "it has looked for workers three times")
    weather.stop()

    assert weather.broken == {}
    [trouble] = weather.trouble
    assert trouble.startswith("workers killed: none in")


def test_a_worker_that_has_the_number_of_one_that_is_gone_can_be_killed() -> None:
    """In a long run the machine begins its numbers again; those workers lived for ever."""
    nursery = object.__new__(Nursery)
    nursery.events = [
        ("began", "orders", 7, 0),
        ("died", "orders", 7, -9),
        ("began", "orders", 8, 0),
        ("began", "inventory", 7, 0),
    ]

    assert nursery.pids("inventory") == [7]
    assert nursery.pids("orders") == [8]


def test_too_few_faults_are_none() -> None:
    """Workers were killed for a minute, and for an hour nobody was."""
    weather = Weather(SimpleNamespace(servers=[]), SimpleNamespace(), 1, Climate())
    weather.broken["workers killed"] = 30

    missing = [*weather._missing(3600)]

    assert "workers killed: 30 in 3600 s" in missing
