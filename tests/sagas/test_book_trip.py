"""book_trip on the embedded engine and on the broker, with every fate that a trip can meet."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from demo.rental_stub import ALWAYS_OUT, RentalCompany, Server
from models.flights import Booking, BookingStatus, Flight
from models.hotels import Hotel, Stay
from models.payments import Card
from sagaworks.testing import HANG, Zeebe
from sagaworks.testing.saga import RunningSaga
from workers.cars import cars
from workers.flights import flights
from workers.hotels import hotels
from workers.payments import payments

pytestmark = [pytest.mark.engine, pytest.mark.zeebe_engines("embedded", "broker")]

BOOK_TRIP = "book_trip"

TRIP: dict[str, Any] = {
    "flight": "SG-100",
    "travellers": ["Ada", "Grace", "Mary"],
    "hotel": "Sea View",
    "car_class": "van",
    "card": "card-01",
    "amount": Decimal("900.00"),
}


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Iterator[RentalCompany]:
    """The simulated rental company, whom the cars service calls."""
    company = RentalCompany()
    with Server(company) as server:
        monkeypatch.setenv("RENTAL_URL", server.url)
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield company
        server.shutdown()
        serving.join()


@pytest.fixture
def stocked(zeebe: Zeebe, company: RentalCompany) -> Zeebe:
    """Ten seats on one flight and two on another, four rooms, a card; no worker runs yet."""
    with zeebe.session(flights) as session:
        session.add(Flight(number="SG-100", seats=10, free=10))
        session.add(Flight(number="SG-002", seats=2, free=2))
    with zeebe.session(hotels) as session:
        session.add(Hotel(name="Sea View", rooms=4, free=4))
    with zeebe.session(payments) as session:
        session.add(Card(number="card-01", balance=Decimal(1000), opened_with=Decimal(1000)))
    return zeebe


@pytest.fixture
def agency(stocked: Zeebe) -> Zeebe:
    """The four services work."""
    stocked.work(flights, hotels, cars, payments)
    return stocked


def ask_for(agency: Zeebe, **changes: Any) -> RunningSaga:
    """Ask for a trip for three, or as changed; the hotel hasn't said anything yet."""
    return agency.run(BOOK_TRIP, **(TRIP | changes))


def confirm(agency: Zeebe, trip: RunningSaga) -> None:
    """Let the hotel say yes."""
    agency.publish("room_confirmed", correlation_key=trip.business_key, confirmation="SV-7")


def seats(agency: Zeebe, number: str = "SG-100") -> tuple[int, int, int]:
    """How many seats are free, held and sold."""
    with agency.session(flights) as session:
        flight = session.get_one(Flight, number)
        return flight.free, flight.held, flight.sold


def rooms(agency: Zeebe) -> tuple[int, int, int]:
    """How many rooms are free, held and booked."""
    with agency.session(hotels) as session:
        hotel = session.get_one(Hotel, "Sea View")
        return hotel.free, hotel.held, hotel.booked


def money(agency: Zeebe) -> Decimal:
    """What is on the card."""
    with agency.session(payments) as session:
        return session.get_one(Card, "card-01").balance


def status(agency: Zeebe, trip: RunningSaga) -> str:
    """Where the booking stands."""
    with agency.session(flights) as session:
        return session.get_one(Booking, trip.business_key).status


def runs(trip: RunningSaga, step: str, event: str) -> list[str]:
    """For whom, or for what, a step of the trip was done or undone; sorted."""
    return sorted(e["each"] for e in trip.ledger if (e["step"], e["event"]) == (step, event))


def assert_nothing_is_left(agency: Zeebe, trip: RunningSaga, company: RentalCompany) -> None:
    """Seats, rooms, car and money are as they were, and each step done was undone once."""
    done = sorted((e["step"], e["each"]) for e in trip.ledger if e["event"] == "executed")
    undone = sorted((e["step"], e["each"]) for e in trip.ledger if e["event"] == "undone")
    assert done == undone
    assert (seats(agency), seats(agency, "SG-002")) == ((10, 0, 0), (2, 0, 0))
    assert (rooms(agency), money(agency)) == ((4, 0, 0), Decimal(1000))
    assert company.books()["booked"] == company.books()["cancelled"]
    assert status(agency, trip) == BookingStatus.CLOSED


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


@pytest.mark.zeebe_clock
def test_a_hotel_that_stays_silent_undoes_the_trip(agency: Zeebe, company: RentalCompany) -> None:
    trip = ask_for(agency).wait_for("await_confirmation")

    agency.advance(timedelta(minutes=119))
    assert trip.outcome_so_far is None
    agency.advance(timedelta(minutes=2))

    trip.assert_undone("hold_room", "rent_car", "hold_seat", "open_booking")
    trip.assert_ended_at("room_not_confirmed", "trip_undone")
    assert_nothing_is_left(agency, trip, company)


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
