"""Orders: what a customer asked for, and what became of it."""

from decimal import Decimal
from enum import StrEnum

from sqlmodel import Field, SQLModel

from models.money import Amount, Money


class OrderStatus(StrEnum):
    """Where an order stands."""

    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class Order(SQLModel, table=True):
    """One order, under the number that the customer knows it by."""

    __tablename__ = "orders"

    key: str = Field(primary_key=True, max_length=200)
    status: str = Field(default=OrderStatus.ACCEPTED, max_length=16, index=True)
    sku: str = Field(max_length=64)
    quantity: int
    amount: Decimal = Field(sa_type=Money)


class OrderAccepted(SQLModel):
    """The order is taken in."""

    order: str


class OrderConfirmed(SQLModel):
    """The order is promised to the customer."""

    order: str


class OrderState(SQLModel):
    """Where one order stands."""

    order: str
    status: str


class OrderBooks(SQLModel):
    """How many orders stand where, and what was promised in the confirmed ones."""

    accepted: int
    confirmed: int
    rejected: int
    units_confirmed: int
    money_confirmed: Amount
