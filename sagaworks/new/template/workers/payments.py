"""Payments: charges the customer's card."""

from sqlmodel import Session

from models.payments import Card, CardCharged, Charge
from sagaworks import Refusal, Saga, Service

payments = Service("payments")


class CardDeclined(Refusal):
    """The card is unknown, or isn't good for the amount."""


@payments.step(kind="pivot")
def charge_card(session: Session, saga: Saga, card: str, amount_cents: int) -> CardCharged:
    """Take the order's amount from the card."""
    found = session.get(Card, card, with_for_update=True)
    if found is None or found.left_cents < amount_cents:
        raise CardDeclined("the card doesn't cover the amount")
    found.left_cents -= amount_cents
    session.add(Charge(order_key=saga.business_key, card=card, amount_cents=amount_cents))
    return CardCharged(order=saga.business_key, amount_cents=amount_cents)
