"""The travel agency as a test uses it: ask for a trip, let the hotel confirm, look what is left."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from demo.rental_stub import RentalCompany, Server
from models.flights import Booking, BookingStatus, Flight
from models.hotels import Hotel
from models.payments import Card
from sagaworks.testing import Zeebe
from sagaworks.testing.saga import RunningSaga
from workers.flights import flights
from workers.hotels import hotels
from workers.payments import payments

BOOK_TRIP = "book_trip"

TRIP: dict[str, Any] = {
    "flight": "SG-100",
    "travellers": ["Ada", "Grace", "Mary"],
    "hotel": "Sea View",
    "car_class": "van",
    "card": "card-01",
    "amount": Decimal("900.00"),
}


@contextmanager
def renting(monkeypatch: pytest.MonkeyPatch) -> Iterator[RentalCompany]:
    """The simulated rental company, whom the cars service calls."""
    company = RentalCompany()
    with Server(company) as server:
        monkeypatch.setenv("RENTAL_URL", server.url)
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield company
        finally:
            server.shutdown()
            serving.join()


def stock(zeebe: Zeebe) -> None:
    """Ten seats on one flight and two on another, four rooms, a card."""
    with zeebe.session(flights) as session:
        session.add(Flight(number="SG-100", seats=10, free=10))
        session.add(Flight(number="SG-002", seats=2, free=2))
    with zeebe.session(hotels) as session:
        session.add(Hotel(name="Sea View", rooms=4, free=4))
    with zeebe.session(payments) as session:
        session.add(Card(number="card-01", balance=Decimal(1000), opened_with=Decimal(1000)))


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


def happened(trip: RunningSaga, event: str) -> list[tuple[str, str]]:
    """Which steps were done or undone, and for whom; sorted."""
    return sorted((e["step"], e["each"]) for e in trip.ledger if e["event"] == event)


def assert_nothing_is_left(agency: Zeebe, trip: RunningSaga, company: RentalCompany) -> None:
    """Seats, rooms, car and money are as they were, and each step done was undone once.

    What the engine forgot is undone by the reconcilers, a moment after the saga's end.
    """
    agency.settle()
    until = time.monotonic() + agency.engine.patience
    while happened(trip, "executed") != happened(trip, "undone") and time.monotonic() < until:
        time.sleep(0.05)
    assert happened(trip, "executed") == happened(trip, "undone")
    assert (seats(agency), seats(agency, "SG-002")) == ((10, 0, 0), (2, 0, 0))
    assert (rooms(agency), money(agency)) == ((4, 0, 0), Decimal(1000))
    assert company.books()["booked"] == company.books()["cancelled"]
    assert status(agency, trip) == BookingStatus.CLOSED
