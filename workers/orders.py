"""Orders: takes an order in, and confirms or rejects it once its fate is known."""

from decimal import Decimal

from sqlmodel import Session, col, func, select

from models.money import Amount
from models.orders import (
    Order,
    OrderAccepted,
    OrderBooks,
    OrderConfirmed,
    OrderState,
    OrderStatus,
)
from sagaworks import Refusal, Saga, Service

orders = Service("orders")


class NothingOrdered(Refusal):
    """The order names no units, or no money."""


@orders.step
def accept_order(
    session: Session, saga: Saga, sku: str, quantity: int, amount: Amount
) -> OrderAccepted:
    """Take the order in."""
    if quantity < 1 or amount <= 0:
        raise NothingOrdered(f"{quantity} units for {amount}")
    session.merge(Order(key=saga.business_key, sku=sku, quantity=quantity, amount=amount))
    return OrderAccepted(order=saga.business_key)


@accept_order.compensation
def reject_order(session: Session, accepted: OrderAccepted) -> None:
    """Tell the customer no."""
    order = session.get_one(Order, accepted.order, with_for_update=True)
    order.status = OrderStatus.REJECTED


@orders.step(kind="pivot")
def confirm_order(session: Session, order_accepted: OrderAccepted) -> OrderConfirmed:
    """Promise the order to the customer: from here on it only goes forward."""
    order = session.get_one(Order, order_accepted.order, with_for_update=True)
    order.status = OrderStatus.CONFIRMED
    return OrderConfirmed(order=order.key)


@orders.query
def list_orders(session: Session) -> list[OrderState]:
    """Where each order stands."""
    rows = session.exec(select(Order.key, Order.status).order_by(Order.key))
    return [OrderState(order=key, status=status) for key, status in rows]


@orders.query
def books(session: Session) -> OrderBooks:
    """How many orders stand where, and what was promised in the confirmed ones."""
    by_status = select(Order.status, func.count()).group_by(col(Order.status))
    counts = dict(session.exec(by_status).all())
    promised = select(func.sum(Order.quantity), func.sum(Order.amount))
    units, money = session.exec(promised.where(Order.status == OrderStatus.CONFIRMED)).one()
    return OrderBooks(
        accepted=counts.get(OrderStatus.ACCEPTED, 0),
        confirmed=counts.get(OrderStatus.CONFIRMED, 0),
        rejected=counts.get(OrderStatus.REJECTED, 0),
        units_confirmed=units or 0,
        money_confirmed=money or Decimal(0),
    )
