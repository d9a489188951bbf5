from collections.abc import Callable
from decimal import Decimal

import pytest
from sqlmodel import Session

from models.flights import Booking, BookingOpened, BookingStatus, Flight, SeatHeld
from sagaworks import Saga
from workers.flights import (
    NobodyTravels,
    NoSeatLeft,
    TravellerNamedTwice,
    books,
    close_booking,
    hold_seat,
    issue_tickets,
    list_bookings,
    open_booking,
    release_seat,
)

SagaMaker = Callable[..., Saga]


@pytest.fixture(autouse=True)
def a_flight_with_two_seats(session: Session) -> Flight:
    flight = Flight(number="SG-100", seats=2, free=2)
    session.add(flight)
    session.commit()
    return flight


def book(session: Session, saga: Saga, *travellers: str) -> BookingOpened:
    return open_booking(
        session, saga, flight="SG-100", travellers=[*travellers], amount=Decimal(100)
    )


def hold(session: Session, *travellers: str) -> list[SeatHeld]:
    return [hold_seat(session, flight="SG-100", traveller=one) for one in travellers]


def test_a_trip_of_two_is_open_until_its_tickets_are_issued(
    session: Session, a_saga: SagaMaker
) -> None:
    opened = book(session, a_saga(), "Ada", "Grace")
    before = list_bookings(session)[0].status

    issue_tickets(session, opened, hold(session, "Ada", "Grace"))

    assert (before, list_bookings(session)[0].status) == ("open", "ticketed")
    assert books(session).sold == 2


def test_nobody_travels_without_travellers(session: Session, a_saga: SagaMaker) -> None:
    with pytest.raises(NobodyTravels):
        book(session, a_saga())

    assert list_bookings(session) == []


def test_two_travellers_of_one_name_are_refused_without_naming_them(
    session: Session, a_saga: SagaMaker
) -> None:
    with pytest.raises(TravellerNamedTwice) as refusal:
        book(session, a_saga(), "Ada", "Grace", "Ada")

    assert "Ada" not in refusal.value.why


def test_a_closed_booking_stays_in_the_books(session: Session, a_saga: SagaMaker) -> None:
    close_booking(session, book(session, a_saga(), "Ada"))

    assert session.get_one(Booking, "order-42").status == BookingStatus.CLOSED
    assert (books(session).closed, books(session).open) == (1, 0)


def test_each_traveller_has_a_seat_of_their_own(session: Session) -> None:
    held = hold(session, "Ada", "Grace")

    assert [one.traveller for one in held] == ["Ada", "Grace"]
    assert books(session).held == 2


def test_a_full_flight_has_no_seat_left(session: Session) -> None:
    hold(session, "Ada", "Grace")

    with pytest.raises(NoSeatLeft, match="SG-100"):
        hold(session, "Mary")


def test_a_flight_that_nobody_knows_has_no_seat_left(session: Session) -> None:
    with pytest.raises(NoSeatLeft):
        hold_seat(session, flight="SG-999", traveller="Ada")


def test_a_released_seat_leaves_the_flight_as_it_was(session: Session) -> None:
    ada, grace = hold(session, "Ada", "Grace")
    release_seat(session, grace)
    release_seat(session, ada)

    assert session.get_one(Flight, "SG-100").free == 2


def test_seats_add_up_and_money_counts_once_tickets_are_issued(
    session: Session, a_saga: SagaMaker
) -> None:
    issue_tickets(session, book(session, a_saga(), "Ada"), hold(session, "Ada"))
    book(session, a_saga(business_key="trip-2"), "Grace")

    found = books(session)

    assert (found.seats, found.free, found.held, found.sold) == (2, 1, 0, 1)
    assert (found.travellers_ticketed, found.money_ticketed) == (1, Decimal(100))
    assert (found.open, found.ticketed) == (1, 1)


def test_empty_books_are_all_noughts(session: Session) -> None:
    session.delete(session.get_one(Flight, "SG-100"))

    assert set(books(session).model_dump().values()) == {0}
