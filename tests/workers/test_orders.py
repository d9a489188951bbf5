from collections.abc import Callable
from decimal import Decimal

import pytest
from sqlmodel import Session

from models.orders import Order, OrderAccepted, OrderStatus
from sagaworks import Saga
from workers.orders import (
    NothingOrdered,
    accept_order,
    books,
    confirm_order,
    list_orders,
    reject_order,
)

SagaMaker = Callable[..., Saga]


def accept(session: Session, saga: Saga, *, quantity: int = 2) -> OrderAccepted:
    return accept_order(session, saga, sku="lamp", quantity=quantity, amount=Decimal("19.90"))


def test_an_accepted_order_waits_for_its_fate(session: Session, a_saga: SagaMaker) -> None:
    accepted = accept(session, a_saga())

    assert accepted == OrderAccepted(order="order-42")
    assert session.get_one(Order, "order-42").status == OrderStatus.ACCEPTED


def test_the_amount_is_kept_to_the_cent(session: Session, a_saga: SagaMaker) -> None:
    accept(session, a_saga())
    session.flush()
    session.expire_all()

    assert session.get_one(Order, "order-42").amount == Decimal("19.90")


@pytest.mark.parametrize(
    "quantity, amount", [(0, Decimal(1)), (-1, Decimal(1)), (1, Decimal(0)), (1, Decimal(-1))]
)
def test_an_order_for_nothing_is_refused(
    session: Session, a_saga: SagaMaker, quantity: int, amount: Decimal
) -> None:
    with pytest.raises(NothingOrdered):
        accept_order(session, a_saga(), sku="lamp", quantity=quantity, amount=amount)

    assert session.get(Order, "order-42") is None


def test_a_rejected_order_stays_in_the_books(session: Session, a_saga: SagaMaker) -> None:
    reject_order(session, accept(session, a_saga()))

    assert [(state.order, state.status) for state in list_orders(session)] == [
        ("order-42", "rejected")
    ]


def test_a_rejected_order_can_be_accepted_again(session: Session, a_saga: SagaMaker) -> None:
    """An operator may send the saga back after the stock was fixed: the next round."""
    reject_order(session, accept(session, a_saga()))

    accept(session, a_saga())

    assert session.get_one(Order, "order-42").status == OrderStatus.ACCEPTED


def test_the_books_count_orders_and_what_was_promised(session: Session, a_saga: SagaMaker) -> None:
    for key in ("order-1", "order-2"):
        confirm_order(session, accept(session, a_saga(business_key=key), quantity=3))
    reject_order(session, accept(session, a_saga(business_key="order-3")))
    accept(session, a_saga(business_key="order-4"))

    found = books(session)

    assert (found.accepted, found.confirmed, found.rejected) == (1, 2, 1)
    assert (found.units_confirmed, found.money_confirmed) == (6, Decimal("39.80"))


def test_empty_books_are_all_noughts(session: Session) -> None:
    assert set(books(session).model_dump().values()) == {0}
