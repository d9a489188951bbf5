"""The second saga under everything that can break: a step for each traveller, a call, a message."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from demo.rental_stub import RentalCompany
from models.flights import BookingStatus
from sagaworks.testing import Zeebe, whatever_breaks
from tests.sagas.agency import (
    ask_for,
    assert_nothing_is_left,
    confirm,
    money,
    renting,
    rooms,
    runs,
    seats,
    status,
    stock,
)
from workers.cars import cars
from workers.flights import flights
from workers.hotels import hotels
from workers.payments import payments

pytestmark = pytest.mark.engine

ALL = ["Ada", "Grace", "Mary"]

LOCK = timedelta(seconds=5)
"""What the engine had pushed to a worker that died comes again after so long."""

PATIENCE = 60.0
"""Seconds: a death at each of a dozen jobs takes its time."""


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Iterator[RentalCompany]:
    with renting(monkeypatch) as company:
        yield company


@pytest.fixture
def agency(zeebe: Zeebe, company: RentalCompany) -> Zeebe:
    """The four services, on databases with something to book."""
    zeebe.work(flights, hotels, cars, payments, lock=LOCK)
    stock(zeebe)
    return zeebe


@whatever_breaks
def test_a_trip_that_is_not_paid_gives_all_back_for_each_traveller(
    agency: Zeebe, company: RentalCompany
) -> None:
    trip = ask_for(agency, amount=Decimal(5000))
    confirm(agency, trip)

    trip.wait(PATIENCE)
    trip.assert_undone("rent_car", "hold_room", "hold_seat", "open_booking")
    assert runs(trip, "hold_seat", "undone") == ALL
    assert_nothing_is_left(agency, trip, company)


@whatever_breaks(only="delivered")
def test_a_trip_takes_its_seats_rooms_car_and_money_once(
    agency: Zeebe, company: RentalCompany
) -> None:
    """What else can break is tried on the trip that is undone, whose steps are nearly the same."""
    trip = ask_for(agency)
    confirm(agency, trip)

    trip.wait(PATIENCE)
    trip.assert_completed()
    assert runs(trip, "hold_seat", "executed") == ALL
    assert (seats(agency), rooms(agency), money(agency)) == ((7, 0, 3), (2, 0, 2), Decimal(100))
    assert (company.books()["booked"], company.books()["cancelled"]) == (1, 0)
    assert status(agency, trip) == BookingStatus.TICKETED
