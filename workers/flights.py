"""Flights: takes a trip in, holds a seat for each traveller, and issues the tickets at the end."""

from decimal import Decimal

from sqlmodel import Session, col, func, select

from models.flights import (
    Booking,
    BookingOpened,
    BookingState,
    BookingStatus,
    Flight,
    FlightBooks,
    SeatHeld,
    TicketsIssued,
)
from models.money import Amount
from sagaworks import Refusal, Saga, Service

flights = Service("flights")


class NobodyTravels(Refusal):
    """The trip names no traveller."""


class TravellerNamedTwice(Refusal):
    """Two travellers of a trip have one name, so nobody could tell their seats apart."""


class NoSeatLeft(Refusal):
    """The flight is full, or there is none of this number."""


@flights.step
def open_booking(
    session: Session, saga: Saga, flight: str, travellers: list[str], amount: Amount
) -> BookingOpened:
    """Take the trip in."""
    if not travellers:
        raise NobodyTravels
    if len(set(travellers)) < len(travellers):
        raise TravellerNamedTwice
    session.merge(
        Booking(key=saga.business_key, flight=flight, travellers=len(travellers), amount=amount)
    )
    return BookingOpened(booking=saga.business_key)


@open_booking.compensation
def close_booking(session: Session, opened: BookingOpened) -> None:
    """Tell the travellers no."""
    booking = session.get_one(Booking, opened.booking, with_for_update=True)
    booking.status = BookingStatus.CLOSED


@flights.step(each="traveller")
def hold_seat(session: Session, flight: str, traveller: str) -> SeatHeld:
    """Set a seat aside for one of the travellers."""
    found = session.get(Flight, flight, with_for_update=True)
    if found is None or not found.free:
        raise NoSeatLeft(f"{flight}: no seat left")
    found.free -= 1
    found.held += 1
    return SeatHeld(flight=flight, traveller=traveller)


@hold_seat.compensation
def release_seat(session: Session, held: SeatHeld) -> None:
    """Give the traveller's seat to others."""
    flight = session.get_one(Flight, held.flight, with_for_update=True)
    flight.held -= 1
    flight.free += 1


@flights.step(kind="pivot")
def issue_tickets(
    session: Session, booking_opened: BookingOpened, seats_held: list[SeatHeld]
) -> TicketsIssued:
    """Promise the trip to its travellers: from here on it only goes forward."""
    booking = session.get_one(Booking, booking_opened.booking, with_for_update=True)
    flight = session.get_one(Flight, booking.flight, with_for_update=True)
    flight.held -= len(seats_held)
    flight.sold += len(seats_held)
    booking.status = BookingStatus.TICKETED
    return TicketsIssued(booking=booking.key, tickets=len(seats_held))


@flights.query
def list_bookings(session: Session) -> list[BookingState]:
    """Where each booking stands."""
    rows = session.exec(select(Booking.key, Booking.status).order_by(Booking.key))
    return [BookingState(booking=key, status=status) for key, status in rows]


@flights.query
def books(session: Session) -> FlightBooks:
    """How many bookings stand where, what was promised in the ticketed ones; all seats."""
    by_status = select(Booking.status, func.count()).group_by(col(Booking.status))
    counts = dict(session.exec(by_status).all())
    promised = select(func.sum(Booking.travellers), func.sum(Booking.amount))
    travellers, money = session.exec(promised.where(Booking.status == BookingStatus.TICKETED)).one()
    places = (func.sum(Flight.seats), func.sum(Flight.free), func.sum(Flight.held))
    seats, free, held, sold = session.exec(select(*places, func.sum(Flight.sold))).one()
    return FlightBooks(
        open=counts.get(BookingStatus.OPEN, 0),
        ticketed=counts.get(BookingStatus.TICKETED, 0),
        closed=counts.get(BookingStatus.CLOSED, 0),
        travellers_ticketed=travellers or 0,
        money_ticketed=money or Decimal(0),
        seats=seats or 0,
        free=free or 0,
        held=held or 0,
        sold=sold or 0,
    )
