"""The reference system under everything that can break, on the engine that `--zeebe` names."""

import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from demo.carrier_stub import NOWHERE, Carrier, Server
from models.inventory import Stock
from models.payments import Card
from sagaworks.testing import Zeebe, whatever_breaks
from sagaworks.testing.faults.kinds import Kind
from workers.inventory import books as stock_books
from workers.inventory import inventory
from workers.orders import orders
from workers.payments import books as money_books
from workers.payments import payments
from workers.shipping import shipping

pytestmark = pytest.mark.engine

ORDER: dict[str, Any] = {
    "sku": "lamp",
    "quantity": 2,
    "amount": Decimal("39.80"),
    "card": "card-01",
    "address": "Main Street 1",
}


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> Iterator[Carrier]:
    """The simulated carrier, which remembers idempotency keys."""
    carrier = Carrier()
    with Server(carrier) as server:
        monkeypatch.setenv("CARRIER_URL", server.url)
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield carrier
        server.shutdown()
        serving.join()


@pytest.fixture
def shop(zeebe: Zeebe, carrier: Carrier) -> Zeebe:
    """The four services, ten lamps on the shelf, a card with money on it."""
    zeebe.work(orders, inventory, payments, shipping)
    rich = Decimal(100)
    with zeebe.session(inventory) as session:
        session.add(Stock(sku="lamp", available=10, received=10))
    with zeebe.session(payments) as session:
        session.add(Card(number="card-01", balance=rich, opened_with=rich))
    return zeebe


@whatever_breaks
def test_an_order_takes_its_money_and_goods_once(shop: Zeebe, carrier: Carrier) -> None:
    saga = shop.run("place_order", **ORDER)

    saga.assert_completed()
    saga.assert_ended_at("order_shipped")
    with shop.session(inventory) as session:
        stock = stock_books.function(session)
    with shop.session(payments) as session:
        money = money_books.function(session)
    assert (stock.available, stock.held, stock.shipped) == (8, 0, 2)
    assert (money.on_cards, money.charges, money.refunds) == (Decimal("60.20"), 1, 0)
    assert (carrier.books()["booked"], carrier.books()["cancelled"]) == (1, 0)


NOT_OF_EACH_JOB = {
    "nothing",
    "dies-after-the-claim",
    "dies-after-the-effect",
    "dies-before-the-call",
    "dies-after-the-call",
    "dies-before-the-mark",
    "dies-after-the-mark",
}
"""A call has no claim of its own, only a call calls, and marks go in batches."""


@whatever_breaks
def test_an_order_that_nobody_delivers_gives_all_back(
    shop: Zeebe, carrier: Carrier, zeebe_breaks: Kind
) -> None:
    saga = shop.run("place_order", **{**ORDER, "address": NOWHERE})

    saga.assert_undone("charge_card", "hold_stock", "accept_order")
    with shop.session(inventory) as session:
        stock = stock_books.function(session)
    with shop.session(payments) as session:
        money = money_books.function(session)
    assert (stock.available, stock.held, stock.shipped) == (10, 0, 0)
    assert (money.on_cards, money.charges, money.refunds) == (Decimal(100), 1, 1)
    assert carrier.books()["booked"] == 0
    if zeebe_breaks.name not in NOT_OF_EACH_JOB:
        assert_each_job_met(shop)


def assert_each_job_met(shop: Zeebe) -> None:
    """Each of the seven jobs has met what breaks; the last one may be about to."""
    wire = shop.faults.wire
    [fault] = shop.faults._demanded
    jobs = {job.key for job in wire.jobs.values()}
    assert len(jobs) == 7
    assert wire.wait_for(lambda: fault.happened >= len(jobs), 10), shop.faults.story()
