"""book_trip on the embedded engine and on the broker, with every fate that a trip can meet."""

import os
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from demo.rental_stub import ALWAYS_OUT, RentalCompany
from models.flights import BookingStatus
from models.hotels import Stay
from sagaworks import Refusal
from sagaworks.testing import HANG, Zeebe
from tests.sagas.agency import (
    ask_for,
    assert_nothing_is_left,
    confirm,
    happened,
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

pytestmark = [pytest.mark.engine, pytest.mark.zeebe_engines("embedded", "broker")]


class AirlineOnStrike(Refusal):
    """No tickets today; no step says so."""


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Iterator[RentalCompany]:
    with renting(monkeypatch) as company:
        yield company


@pytest.fixture
def stocked(zeebe: Zeebe, company: RentalCompany) -> Zeebe:
    """There is something to book; no worker runs yet."""
    stock(zeebe)
    return zeebe


@pytest.fixture
def agency(stocked: Zeebe) -> Zeebe:
    """The four services work."""
    stocked.work(flights, hotels, cars, payments)
    return stocked


def test_a_trip_is_booked(agency: Zeebe, company: RentalCompany) -> None:
    trip = ask_for(agency)
    confirm(agency, trip)

    trip.assert_completed()
    trip.assert_ended_at("stay_arranged", "trip_booked")
    assert runs(trip, "hold_seat", "executed") == ["Ada", "Grace", "Mary"]
    assert (seats(agency), rooms(agency), money(agency)) == ((7, 0, 3), (2, 0, 2), Decimal(100))
    assert (company.books()["booked"], company.books()["cancelled"]) == (1, 0)
    assert status(agency, trip) == BookingStatus.TICKETED
    with agency.session(hotels) as session:
        assert session.get_one(Stay, trip.business_key).confirmation == "SV-7"


@pytest.mark.parametrize(
    "travellers, code",
    [([], "NOBODY_TRAVELS"), (["Ada", "Grace", "Ada"], "TRAVELLER_NAMED_TWICE")],
)
def test_a_trip_of_nobody_or_of_one_twice_is_turned_away(
    agency: Zeebe, travellers: list[str], code: str
) -> None:
    trip = ask_for(agency, travellers=travellers)

    trip.assert_trail([f"open_booking refused {code}"])
    trip.assert_ended_at("trip_undone")


def test_a_declined_card_undoes_all_of_it_last_step_first(
    agency: Zeebe, company: RentalCompany
) -> None:
    trip = ask_for(agency, amount=Decimal(5000))
    confirm(agency, trip)

    trip.assert_undone("rent_car", "hold_room", "hold_seat", "open_booking")
    assert runs(trip, "hold_seat", "undone") == ["Ada", "Grace", "Mary"]
    assert_nothing_is_left(agency, trip, company)


def test_a_refusal_after_the_payment_refunds_the_card_first(
    stocked: Zeebe, company: RentalCompany
) -> None:
    """The pivot may refuse, but doesn't today: a stub does."""
    stocked.stub("flights.issue_tickets", AirlineOnStrike)
    stocked.work(flights, hotels, cars, payments)
    trip = ask_for(stocked)
    confirm(stocked, trip)

    trip.assert_undone("charge_card", "rent_car", "hold_room", "hold_seat", "open_booking")
    assert_nothing_is_left(stocked, trip, company)


@pytest.mark.zeebe_clock
def test_a_hotel_that_stays_silent_undoes_the_trip(agency: Zeebe, company: RentalCompany) -> None:
    trip = ask_for(agency).wait_for("await_confirmation")

    agency.advance(timedelta(minutes=119))
    assert trip.outcome_so_far is None
    agency.advance(timedelta(minutes=2))

    trip.assert_undone("hold_room", "rent_car", "hold_seat", "open_booking")
    trip.assert_ended_at("room_not_confirmed", "trip_undone")
    assert_nothing_is_left(agency, trip, company)


def test_a_traveller_without_a_seat_undoes_the_seats_of_the_others(
    agency: Zeebe, company: RentalCompany
) -> None:
    """The engine forgets the two seats: the multi-instance was terminated around them."""
    trip = ask_for(agency, flight="SG-002")

    trip.assert_undone()
    assert_nothing_is_left(agency, trip, company)
    assert len(runs(trip, "hold_seat", "undone")) == 2
    assert len(runs(trip, "hold_seat", "refused")) == 1


def test_a_hotel_that_is_full_undoes_what_its_siblings_had_done(
    agency: Zeebe, company: RentalCompany
) -> None:
    trip = ask_for(agency, travellers=[f"traveller-{number}" for number in range(9)])

    trip.assert_undone()
    assert_nothing_is_left(agency, trip, company)
    assert runs(trip, "hold_room", "refused") == [""]


def test_a_trip_is_cancelled_while_the_hotel_is_awaited(
    agency: Zeebe, company: RentalCompany
) -> None:
    """The engine forgets the room: the sub-process was terminated around it."""
    trip = ask_for(agency).wait_for("await_confirmation")

    agency.publish("trip_cancelled", correlation_key=trip.business_key)

    trip.assert_undone()
    trip.assert_ended_at("cancelled_in_time", "trip_undone")
    assert_nothing_is_left(agency, trip, company)
    assert ("hold_room", "") in happened(trip, "undone")


@pytest.mark.zeebe_clock
def test_a_person_who_finds_no_car_in_time_undoes_the_trip(
    agency: Zeebe, company: RentalCompany
) -> None:
    trip = ask_for(agency, car_class=ALWAYS_OUT, confirm_within="PT8H")
    trip.wait_for("choose_another_car")
    trip.wait_for("await_confirmation")

    agency.advance(timedelta(hours=5))

    trip.assert_undone()
    trip.assert_ended_at("trip_without_a_car", "trip_undone")
    assert_nothing_is_left(agency, trip, company)


def test_a_rental_company_that_is_away_for_a_while_is_asked_again(
    agency: Zeebe, company: RentalCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = os.environ["RENTAL_URL"]
    monkeypatch.setenv("RENTAL_URL", "http://127.0.0.1:1")
    trip = ask_for(agency)
    confirm(agency, trip)
    agency.feed.wait_for(
        lambda: any(str(one).startswith("rent_car retrying") for one in trip.trail_so_far),
        agency.engine.patience,
    )

    monkeypatch.setenv("RENTAL_URL", there)

    trip.assert_completed()
    assert company.books()["booked"] == 1
    assert len(runs(trip, "rent_car", "intended")) == 1


def test_a_person_finds_another_car_where_there_is_none(
    agency: Zeebe, company: RentalCompany
) -> None:
    trip = ask_for(agency, car_class=ALWAYS_OUT)
    agency.complete(trip, "choose_another_car", car_class="van")
    confirm(agency, trip)

    trip.assert_completed()
    assert (runs(trip, "rent_car", "refused"), runs(trip, "rent_car", "executed")) == (
        [ALWAYS_OUT],
        ["van"],
    )
    assert company.books()["booked"] == 1


def test_the_car_that_a_person_found_is_returned_when_the_trip_falls_through(
    agency: Zeebe, company: RentalCompany
) -> None:
    trip = ask_for(agency, car_class=ALWAYS_OUT, amount=Decimal(5000))
    agency.complete(trip, "choose_another_car", car_class="van")
    confirm(agency, trip)

    trip.assert_undone("rent_car", "hold_room", "hold_seat", "open_booking")
    assert_nothing_is_left(agency, trip, company)


def test_a_trip_that_is_paid_is_not_cancelled(stocked: Zeebe) -> None:
    tickets = stocked.stub("flights.issue_tickets", HANG)
    stocked.work(flights, hotels, cars, payments)
    trip = ask_for(stocked)
    confirm(stocked, trip)
    trip.wait_for("issue_tickets")

    stocked.publish("trip_cancelled", correlation_key=trip.business_key)

    trip.wait_for("too_late_to_cancel")
    stocked.settle()
    assert tickets.calls
    assert trip.outcome_so_far is None
    assert money(stocked) == Decimal(100)
