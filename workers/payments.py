"""Payments: charges the customer's card, and refunds it if the order falls through."""

from datetime import timedelta

from sqlmodel import Session, col, func, select

from models.money import Amount
from models.payments import Card, CardCharged, Charge, PaymentBooks
from sagaworks import Refusal, Retry, Saga, Service

payments = Service("payments")

LONGEST_WAIT = timedelta(minutes=1)


class CardDeclined(Refusal):
    """The card is unknown, or has less on it than the order costs."""


@payments.step
def charge_card(session: Session, saga: Saga, card: str, amount: Amount) -> CardCharged:
    """Take the order's amount from the card, once its holder approves where the card wants that.

    How long the holder may take is the diagram's to say: *Payment overdue*.
    """
    found = session.get(Card, card, with_for_update=True)
    if found is None or found.balance < amount:
        raise CardDeclined("the card doesn't cover the amount")
    if found.needs_approval and not found.approved:
        raise Retry("waiting for the holder's approval", after=_patience(saga.attempt))
    found.balance -= amount
    charge = Charge(order_key=saga.business_key, card=card, amount=amount)
    session.add(charge)
    return CardCharged(charge=charge.id, amount=amount)


@charge_card.compensation
def refund_card(session: Session, charged: CardCharged) -> None:
    """Give the money back to the card."""
    charge = session.get_one(Charge, charged.charge, with_for_update=True)
    card = session.get_one(Card, charge.card, with_for_update=True)
    card.balance += charge.amount
    charge.refunded = True


@payments.query
def books(session: Session) -> PaymentBooks:
    """Where the money is."""
    opened, balance = func.sum(Card.opened_with), func.sum(Card.balance)
    on_cards = session.exec(select(func.coalesce(opened, 0), func.coalesce(balance, 0))).one()
    charged, charges = _charges(session, refunded_only=False)
    refunded, refunds = _charges(session, refunded_only=True)
    return PaymentBooks(
        opened_with=on_cards[0],
        on_cards=on_cards[1],
        charged=charged,
        refunded=refunded,
        charges=charges,
        refunds=refunds,
    )


def _charges(session: Session, *, refunded_only: bool) -> tuple[Amount, int]:
    totals = select(func.coalesce(func.sum(Charge.amount), 0), func.count())
    return session.exec(totals.where(col(Charge.refunded)) if refunded_only else totals).one()


def _patience(attempt: int) -> timedelta:
    """1, 2, 4, … seconds: a holder at hand is soon seen, an absent one uses up few retries."""
    return min(timedelta(seconds=2 ** min(attempt - 1, 10)), LONGEST_WAIT)
