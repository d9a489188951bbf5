from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlmodel import Session

from models.payments import Card, CardCharged
from sagaworks import Retry, Saga
from workers.payments import CardDeclined, books, charge_card, refund_card

SagaMaker = Callable[..., Saga]


@pytest.fixture(autouse=True)
def a_card_with_100(session: Session) -> Card:
    card = Card(number="card-1", balance=Decimal(100), opened_with=Decimal(100))
    session.add(card)
    session.commit()
    return card


def charge(session: Session, saga: Saga, amount: str) -> CardCharged:
    return charge_card(session, saga, card="card-1", amount=Decimal(amount))


def test_a_charge_is_taken_from_the_card(session: Session, a_saga: SagaMaker) -> None:
    charge(session, a_saga(), "19.90")

    assert session.get_one(Card, "card-1").balance == Decimal("80.10")


def test_a_refund_leaves_the_card_as_it_was(session: Session, a_saga: SagaMaker) -> None:
    refund_card(session, charge(session, a_saga(), "19.90"))

    assert session.get_one(Card, "card-1").balance == Decimal(100)


def test_cents_do_not_get_lost(session: Session, a_saga: SagaMaker) -> None:
    for _ in range(3):
        charge(session, a_saga(), "0.10")
    session.commit()

    assert session.get_one(Card, "card-1").balance == Decimal("99.70")


def test_a_card_with_too_little_on_it_is_declined(session: Session, a_saga: SagaMaker) -> None:
    with pytest.raises(CardDeclined):
        charge(session, a_saga(), "100.01")

    assert books(session).charges == 0


def test_the_last_cent_can_be_spent(session: Session, a_saga: SagaMaker) -> None:
    charge(session, a_saga(), "100.00")

    assert session.get_one(Card, "card-1").balance == 0


def test_an_unknown_card_is_declined(session: Session, a_saga: SagaMaker) -> None:
    with pytest.raises(CardDeclined):
        charge_card(session, a_saga(), card="nobody's", amount=Decimal(1))


def test_a_decline_says_neither_card_nor_amount(session: Session, a_saga: SagaMaker) -> None:
    with pytest.raises(CardDeclined) as refusal:
        charge(session, a_saga(), "555.55")

    assert "card-1" not in refusal.value.why
    assert "555" not in refusal.value.why


@pytest.mark.parametrize("attempt, seconds", [(1, 1), (2, 2), (3, 4), (7, 60), (1000, 60)])
def test_a_holder_who_has_not_approved_yet_is_asked_again(
    session: Session, a_saga: SagaMaker, a_card_with_100: Card, attempt: int, seconds: int
) -> None:
    a_card_with_100.needs_approval = True

    with pytest.raises(Retry, match="approval") as retry:
        charge(session, a_saga(attempt=attempt), "1")

    assert retry.value.after == timedelta(seconds=seconds)


def test_an_approved_card_pays(session: Session, a_saga: SagaMaker, a_card_with_100: Card) -> None:
    a_card_with_100.needs_approval = True
    a_card_with_100.approved = True

    charge(session, a_saga(), "1")

    assert books(session).charged == 1


def test_the_books_tell_what_was_charged_and_what_refunded(
    session: Session, a_saga: SagaMaker
) -> None:
    charge(session, a_saga(), "10")
    refund_card(session, charge(session, a_saga(), "5.50"))

    found = books(session)

    assert (found.charged, found.refunded) == (Decimal("15.50"), Decimal("5.50"))
    assert (found.charges, found.refunds) == (2, 1)
    assert found.on_cards + found.charged - found.refunded == found.opened_with


def test_empty_books_are_all_noughts(session: Session) -> None:
    session.delete(session.get_one(Card, "card-1"))

    assert set(books(session).model_dump().values()) == {0}
