"""Payments: the customers' cards, and what they were charged."""

from sqlmodel import Field, SQLModel


class Card(SQLModel, table=True):
    """A card, and how much it is still good for."""

    number: str = Field(primary_key=True, max_length=32)
    left_cents: int


class Charge(SQLModel, table=True):
    """Money taken for one order."""

    order_key: str = Field(primary_key=True, max_length=200)
    card: str = Field(max_length=32)
    amount_cents: int


class CardCharged(SQLModel):
    """The card has paid for the order."""

    order: str
    amount_cents: int
