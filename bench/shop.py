"""What every subject does: the tables, the three steps and what undoes them, as plain functions.

Each service has these tables in a database of its own. A step is one SELECT FOR UPDATE, one UPDATE
and one INSERT, through SQLModel, as its pages show it.
"""

from typing import Final

from sqlalchemy import BigInteger
from sqlmodel import Field, Session, SQLModel

ITEMS: Final = 1000
"""Rows that sagas choose from, each as likely: two sagas in flight seldom want the same."""

STEPS: Final = {
    "inventory": ("hold_stock", "release_stock"),
    "payments": ("charge_card", "refund_card"),
    "shipping": ("book_shipment",),
}
"""The services, and each one's step with what undoes it."""


class Item(SQLModel, table=True):
    """What is counted: units on a shelf, money on a card, places in a van."""

    __tablename__ = "bench_item"

    id: int = Field(primary_key=True)
    left: int = Field(sa_type=BigInteger)


class Movement(SQLModel, table=True):
    """One change of an item, by whom and why."""

    __tablename__ = "bench_movement"

    id: int | None = Field(default=None, primary_key=True)
    saga: str
    why: str
    item: int
    by: int


class StockHeld(SQLModel):
    """A unit is set aside."""

    item: int


class CardCharged(SQLModel):
    """A card is charged."""

    item: int


class ShipmentBooked(SQLModel):
    """A place in a van is booked."""

    item: int


class NoCarrierError(Exception):
    """Nobody takes it: the saga's fate, given to it at its start."""


def hold_stock(session: Session, saga: str, item: int) -> StockHeld:
    """Set a unit aside."""
    _move(session, saga, "hold_stock", item, -1)
    return StockHeld(item=item)


def release_stock(session: Session, saga: str, held: StockHeld) -> None:
    """Put the unit back."""
    _move(session, saga, "release_stock", held.item, +1)


def charge_card(session: Session, saga: str, item: int) -> CardCharged:
    """Charge the card."""
    _move(session, saga, "charge_card", item, -1)
    return CardCharged(item=item)


def refund_card(session: Session, saga: str, charged: CardCharged) -> None:
    """Give the money back."""
    _move(session, saga, "refund_card", charged.item, +1)


def book_shipment(session: Session, saga: str, item: int, doomed: bool) -> ShipmentBooked:  # noqa: FBT001  a process variable
    """Book a place, or find that there is none.

    Raises:
        NoCarrierError: the saga is one of those that end so.
    """
    if doomed:
        session.get_one(Item, item, with_for_update=True)
        raise NoCarrierError
    _move(session, saga, "book_shipment", item, -1)
    return ShipmentBooked(item=item)


def _move(session: Session, saga: str, why: str, item: int, by: int) -> None:
    found = session.get_one(Item, item, with_for_update=True)
    found.left += by
    session.add(Movement(saga=saga, why=why, item=item, by=by))
