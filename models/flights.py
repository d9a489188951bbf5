"""Flights: the seats of each flight, and the bookings that travellers go by."""

from decimal import Decimal
from enum import StrEnum

from sqlmodel import Field, SQLModel

from models.money import Amount, Money


class Flight(SQLModel, table=True):
    """The seats of one flight; `seats` is always the sum of the three others."""

    number: str = Field(primary_key=True, max_length=16)
    seats: int
    free: int
    held: int = 0
    sold: int = 0


class BookingStatus(StrEnum):
    """Where a booking stands."""

    OPEN = "open"
    TICKETED = "ticketed"
    CLOSED = "closed"


class Booking(SQLModel, table=True):
    """One trip, under the number that its travellers know it by."""

    key: str = Field(primary_key=True, max_length=200)
    status: str = Field(default=BookingStatus.OPEN, max_length=16, index=True)
    flight: str = Field(max_length=16)
    travellers: int
    amount: Decimal = Field(sa_type=Money)


class BookingOpened(SQLModel):
    """The trip is taken in."""

    booking: str


class SeatHeld(SQLModel):
    """A seat is set aside for one traveller."""

    flight: str
    traveller: str


class TicketsIssued(SQLModel):
    """The trip is promised to its travellers."""

    booking: str
    tickets: int


class BookingState(SQLModel):
    """Where one booking stands."""

    booking: str
    status: str


class FlightBooks(SQLModel):
    """How many bookings stand where, what was promised in the ticketed ones; all seats."""

    open: int
    ticketed: int
    closed: int
    travellers_ticketed: int
    money_ticketed: Amount
    seats: int
    free: int
    held: int
    sold: int
