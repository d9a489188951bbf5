"""Payments: cards, and what was charged to them."""

from decimal import Decimal
from uuid import UUID, uuid4

from sqlmodel import Field, SQLModel

from models.money import Amount, Money


class Card(SQLModel, table=True):
    """A customer's card; some want their holder's approval before they pay."""

    number: str = Field(primary_key=True, max_length=32)
    balance: Decimal = Field(sa_type=Money)
    opened_with: Decimal = Field(sa_type=Money)
    needs_approval: bool = False
    approved: bool = False


class Charge(SQLModel, table=True):
    """Money taken from a card for an order, perhaps given back."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    order_key: str = Field(max_length=200, index=True)
    card: str = Field(max_length=32)
    amount: Decimal = Field(sa_type=Money)
    refunded: bool = False


class CardCharged(SQLModel):
    """The order's amount is taken from the card."""

    charge: UUID
    amount: Amount


class PaymentBooks(SQLModel):
    """Where the money is: on the cards, or charged and not refunded."""

    opened_with: Amount
    on_cards: Amount
    charged: Amount
    refunded: Amount
    charges: int
    refunds: int
