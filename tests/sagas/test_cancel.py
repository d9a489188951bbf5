"""A saga is cancelled: by the way its diagram draws, or by the engine, and services undo it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from demo.placing import PROCESS
from demo.rental_stub import RentalCompany
from models.inventory import Stock
from sagaworks import SagaworksError, Service
from sagaworks.audit import Books
from sagaworks.cancel import Cancelled, Fate, cancel_saga
from sagaworks.ledger.store import Store
from sagaworks.testing import HANG, Zeebe
from sagaworks.testing.saga import RunningSaga
from tests.sagas.agency import (
    ask_for,
    assert_nothing_is_left,
    confirm,
    money,
    renting,
    stock,
)
from workers.cars import cars
from workers.flights import flights
from workers.hotels import hotels
from workers.inventory import inventory
from workers.orders import orders
from workers.payments import payments
from workers.shipping import shipping

pytestmark = pytest.mark.engine

ORDER: dict[str, Any] = {
    "sku": "lamp",
    "quantity": 2,
    "amount": Decimal("39.80"),
    "card": "card-slow",
    "address": "Main Street 1",
    "pay_within": "PT5M",
}

Cancel = Callable[..., Cancelled]


@pytest.fixture
def cancel(zeebe: Zeebe) -> Iterator[Cancel]:
    """Cancel as the command does, with the services that have a part in it."""
    with ExitStack() as opened:

        def books(service: Service) -> Books:
            store = Store(zeebe.settings.database_url(service.name))
            opened.callback(store.close)
            return Books(service, store, zeebe.history, zeebe.settings.tenant, patience=-1)

        def cancel(saga: RunningSaga, *services: Service, wait: float = 30) -> Cancelled:
            return cancel_saga(
                saga.business_key,
                history=zeebe.history,
                books=[books(service) for service in services],
                settings=zeebe.settings,
                wait=timedelta(seconds=wait),
            )

        yield cancel


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Iterator[RentalCompany]:
    with renting(monkeypatch) as company:
        yield company


@pytest.fixture
def trips(zeebe: Zeebe, company: RentalCompany) -> Zeebe:
    """There is something to book; no worker runs yet."""
    stock(zeebe)
    return zeebe


def lamps(zeebe: Zeebe) -> tuple[int, int]:
    with zeebe.session(inventory) as session:
        found = session.get_one(Stock, "lamp")
        return found.available, found.held


def test_an_order_without_a_way_is_cancelled_by_the_engine_and_undone_by_its_services(
    stocked: Zeebe, cancel: Cancel
) -> None:
    services = (orders, inventory, payments, shipping)
    stocked.work(*services)
    order = stocked.run(PROCESS, **ORDER).wait_for("charge_card")
    assert lamps(stocked) == (8, 2)

    found = cancel(order, *services)

    assert (found.fate, found.way, found.left) == (Fate.UNDONE, None, ())
    assert lamps(stocked) == (10, 0)
    assert "inventory.hold_stock" in found.undone
    assert stocked.history.instance(order.key).last == "ELEMENT_TERMINATED"


def test_a_saga_is_not_cancelled_twice(stocked: Zeebe, cancel: Cancel) -> None:
    stocked.work(orders, inventory, payments, shipping)
    order = stocked.run(PROCESS, **ORDER).wait_for("charge_card")
    cancel(order, orders, inventory)

    with pytest.raises(SagaworksError, match="it was cancelled already"):
        cancel(order, orders, inventory)


def test_what_no_worker_has_undone_when_the_wait_is_over_is_told(
    stocked: Zeebe, cancel: Cancel
) -> None:
    services = (orders, inventory, payments, shipping)
    stocked.work(*services)
    order = stocked.run(PROCESS, **ORDER).wait_for("charge_card")
    stocked.worker(inventory).stop()

    found = cancel(order, *services, wait=3)

    assert found.fate is Fate.LEFT
    assert [(one.service, one.step) for one in found.left] == [("inventory", "hold_stock")]
    assert lamps(stocked) == (8, 2)


def test_a_trip_is_cancelled_as_its_diagram_draws_it(
    trips: Zeebe, company: RentalCompany, cancel: Cancel
) -> None:
    services = (flights, hotels, cars, payments)
    trips.work(*services)
    trip = ask_for(trips).wait_for("await_confirmation")

    found = cancel(trip, *services)

    assert found.fate is Fate.UNDONE
    assert found.way is not None
    assert found.way.message == "trip_cancelled"
    trip.assert_ended_at("cancelled_in_time", "trip_undone")
    assert_nothing_is_left(trips, trip, company)
    assert {"flights.hold_seat", "hotels.hold_room"} <= {*found.undone}


def test_a_trip_that_is_paid_goes_on(trips: Zeebe, cancel: Cancel) -> None:
    trips.stub("flights.issue_tickets", HANG)
    services = (flights, hotels, cars, payments)
    trips.work(*services)
    trip = ask_for(trips)
    confirm(trips, trip)
    trip.wait_for("issue_tickets")

    found = cancel(trip, *services)

    assert (found.fate, found.ended_at) == (Fate.GOES_ON, ("too_late_to_cancel",))
    assert money(trips) == Decimal(100)
    assert trip.outcome_so_far is None


def test_a_trip_that_is_being_undone_catches_no_cancel(
    trips: Zeebe, cancel: Cancel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sagaworks.cancel.cancel.CAUGHT_WITHIN", timedelta(seconds=1))
    trips.stub("flights.close_booking", HANG)
    trips.work(flights, hotels, cars, payments)
    trip = ask_for(trips).wait_for("await_confirmation")
    trips.publish("trip_cancelled", correlation_key=trip.business_key)
    trip.wait_for("close_booking")

    found = cancel(trip, flights, hotels, cars, payments)

    assert found.fate is Fate.NOT_CAUGHT
    assert trip.outcome_so_far is None
