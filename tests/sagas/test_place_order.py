"""place_order on the embedded engine and on the broker, with every fate that an order can meet."""

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from demo.carrier_stub import NOWHERE, Carrier
from demo.placing import PROCESS
from models.inventory import Stock
from models.payments import Card
from sagaworks import Refusal, SagaworksError, start_saga
from sagaworks.ledger.points import Point, hooked
from sagaworks.saga import JobKey
from sagaworks.start import Started
from sagaworks.testing import Zeebe
from sagaworks.testing.saga import RunningSaga
from workers.inventory import inventory
from workers.orders import orders
from workers.payments import payments
from workers.shipping import shipping

pytestmark = [pytest.mark.engine, pytest.mark.zeebe_engines("embedded", "broker")]

ORDER: dict[str, Any] = {
    "sku": "lamp",
    "quantity": 2,
    "amount": Decimal("39.80"),
    "card": "card-01",
    "address": "Main Street 1",
}
SLOW = {**ORDER, "card": "card-slow", "pay_within": "PT5M"}


class CustomerGone(Refusal):
    """Nobody is there to be promised anything; no step says so today."""


@pytest.fixture
def shop(stocked: Zeebe) -> Zeebe:
    """The four services work."""
    stocked.work(orders, inventory, payments, shipping)
    return stocked


def lamps(zeebe: Zeebe) -> tuple[int, int, int]:
    """How many lamps are available, held and shipped."""
    with zeebe.session(inventory) as session:
        stock = session.get_one(Stock, "lamp")
        return stock.available, stock.held, stock.shipped


def start(zeebe: Zeebe, key: str, **changes: Any) -> Started:
    """Start an order as a shop does."""
    zeebe.deploy("bpmn/place_order.bpmn")
    variables = ORDER | changes
    return start_saga(orders, PROCESS, key=key, variables=variables, settings=zeebe.settings)


def test_an_order_goes_through(shop: Zeebe, carrier: Carrier) -> None:
    saga = shop.run(PROCESS, **ORDER)

    saga.assert_completed()
    saga.assert_trail(
        [
            "accept_order",
            "hold_stock",
            "charge_card",
            "book_shipment",
            "confirm_order",
            "ship_stock",
        ]
    )
    saga.assert_ended_at("order_shipped")
    assert [(told["step"], told["event"]) for told in saga.ledger] == [
        ("accept_order", "executed"),
        ("hold_stock", "executed"),
        ("charge_card", "executed"),
        ("book_shipment", "intended"),
        ("book_shipment", "executed"),
        ("confirm_order", "executed"),
        ("ship_stock", "executed"),
    ]
    assert lamps(shop) == (8, 0, 2)
    assert carrier.books()["booked"] == 1


@pytest.mark.parametrize("changes", [{"quantity": 0}, {"quantity": -3}, {"amount": Decimal(0)}])
def test_an_order_for_nothing_is_turned_away(shop: Zeebe, changes: dict[str, Any]) -> None:
    saga = shop.run(PROCESS, **{**ORDER, **changes})

    saga.assert_trail(["accept_order refused NOTHING_ORDERED"])
    saga.assert_ended_at("order_undone")


@pytest.mark.parametrize("changes", [{"quantity": 1_000_000}, {"sku": "unicorn"}])
def test_an_order_for_more_than_there_is_is_rejected(shop: Zeebe, changes: dict[str, Any]) -> None:
    saga = shop.run(PROCESS, **{**ORDER, **changes})

    saga.assert_undone("accept_order")
    saga.assert_trail(["accept_order", "hold_stock refused OUT_OF_STOCK", "reject_order"])


def test_a_declined_card_gives_the_stock_back(shop: Zeebe) -> None:
    saga = shop.run(PROCESS, **{**ORDER, "card": "card-unknown"})

    saga.assert_undone("hold_stock", "accept_order")
    assert lamps(shop) == (10, 0, 0)


def test_an_order_that_no_carrier_takes_is_undone_last_step_first(shop: Zeebe) -> None:
    saga = shop.run(PROCESS, **{**ORDER, "address": NOWHERE})

    saga.assert_undone("charge_card", "hold_stock", "accept_order")
    assert lamps(shop) == (10, 0, 0)


@pytest.mark.zeebe_clock
def test_a_holder_who_does_not_approve_in_time_gets_no_goods(shop: Zeebe) -> None:
    saga = shop.run(PROCESS, **SLOW)

    shop.advance(timedelta(minutes=4))
    assert saga.outcome_so_far is None
    shop.advance(timedelta(minutes=2))

    saga.assert_undone("hold_stock", "accept_order")
    assert lamps(shop) == (10, 0, 0)


@pytest.mark.zeebe_clock
def test_a_holder_who_approves_late_but_in_time_gets_the_goods(shop: Zeebe) -> None:
    saga = shop.run(PROCESS, **SLOW)
    shop.advance(timedelta(minutes=2))

    with shop.session(payments) as session:
        session.get_one(Card, "card-slow").approved = True
    shop.advance(timedelta(minutes=2))

    saga.assert_completed()


def test_a_refusal_after_the_booking_cancels_the_shipment_too(
    stocked: Zeebe, carrier: Carrier
) -> None:
    """No step refuses so late today: a stub does."""
    stocked.stub("orders.confirm_order", CustomerGone)
    stocked.work(orders, inventory, payments, shipping)

    saga = stocked.run(PROCESS, **ORDER)

    saga.assert_undone("book_shipment", "charge_card", "hold_stock", "accept_order")
    assert carrier.books()["cancelled"] == 1


def test_a_key_is_one_saga_however_often_it_is_started(shop: Zeebe) -> None:
    first, again = start(shop, "o-1"), start(shop, "o-1")
    shop.saga("o-1").assert_completed()
    afterwards = start(shop, "o-1")

    assert (first.new, again.new, afterwards.new) == (True, False, False)
    assert {again.process_instance, afterwards.process_instance} == {first.process_instance}
    assert len(shop.history.instances("o-1")) == 1


def test_a_key_with_other_variables_is_refused_with_both_digests(shop: Zeebe) -> None:
    start(shop, "o-1")

    with pytest.raises(SagaworksError, match=r"[0-9a-f]{64} then, [0-9a-f]{64} now"):
        start(shop, "o-1", quantity=3)


def test_a_second_instance_with_the_same_key_touches_nothing(shop: Zeebe) -> None:
    shop.run(PROCESS, key="o-1", **ORDER).assert_completed()

    shop.run(PROCESS, key="o-1", **ORDER).assert_incident("belongs to process instance")

    assert lamps(shop) == (8, 0, 2)


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"quantity": "two"}, "quantity"),
        ({"amount": "0.001"}, "2 decimal places"),
        ({"sku": None}, "sku"),
    ],
)
def test_variables_that_no_step_can_read_are_an_incident_that_names_them(
    shop: Zeebe, changes: dict[str, Any], complaint: str
) -> None:
    shop.run(PROCESS, **{**ORDER, **changes}).assert_incident(complaint)


def test_an_order_that_an_operator_cancels_leaves_nothing_behind(shop: Zeebe) -> None:
    saga = shop.run(PROCESS, **SLOW).wait_for("charge_card")

    shop.cancel(saga)

    assert saga.outcome == "cancelled"
    assert_in_the_end(lambda: lamps(shop) == (10, 0, 0))
    assert_in_the_end(lambda: undone(saga) == {"accept_order", "hold_stock"})


def test_a_card_that_is_charged_as_its_time_runs_out_is_refunded(stocked: Zeebe) -> None:
    """The timer takes the job away while its worker commits."""
    taken: list[JobKey] = []

    def wait_for_the_timer(point: Point, job: JobKey | None) -> None:
        if point is not Point.COMMIT or job is None:
            return
        known = stocked.feed.wait_for(lambda: stocked.history.job(job), 30)
        if known and known.element == "charge_card":
            taken.append(job)
            stocked.feed.wait_for(lambda: is_taken_away(job), 30)

    def is_taken_away(job: JobKey) -> bool:
        known = stocked.history.job(job)
        return known is not None and known.last == "CANCELED"

    with hooked(wait_for_the_timer):
        stocked.work(orders, inventory, payments, shipping)
        saga = stocked.run(PROCESS, **{**ORDER, "pay_within": "PT3S"})
        saga.assert_undone("hold_stock", "accept_order")

    assert len({*taken}) == 1
    assert_in_the_end(lambda: "charge_card" in undone(saga))
    with stocked.session(payments) as session:
        assert session.get_one(Card, "card-01").balance == Decimal(100)


def undone(saga: RunningSaga) -> set[str]:
    return {str(entry["step"]) for entry in saga.ledger if entry["event"] == "undone"}


def assert_in_the_end(holds: Callable[[], bool]) -> None:
    """The reconciler's work has no record to wait for: it's looked at again and again."""
    end = time.monotonic() + 30
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    assert holds()
