"""What is left of one order of place_order, read from its services, the carrier and their books."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from sqlmodel import Session, select

from demo.carrier_stub import Carrier
from models.inventory import Stock
from models.orders import Order, OrderStatus
from models.payments import Card, Charge
from models.shipping import Shipment
from sagaworks.ledger.reader import Told, read_trail
from sagaworks.ledger.store import Store
from tests.faults.oracles import Account, Effects

STEPS: Final = (
    "orders.accept_order",
    "inventory.hold_stock",
    "payments.charge_card",
    "shipping.book_shipment",
    "orders.confirm_order",
    "inventory.ship_stock",
)

TENANT: Final = "<default>"


def told_of(stores: Mapping[str, Store], saga_key: str) -> dict[str, list[Told]]:
    """Return each service's trail of a saga, by its own reader."""
    found = {}
    for service, store in stores.items():
        with store.reading() as connection:
            found[service] = read_trail(connection, TENANT, saga_key)
    return found


class OrderBooks:
    """The tables of the four services, for an order with an article and a card of its own.

    Args:
        stores: the four services' databases.
        carrier: whose books count too.
    """

    def __init__(
        self,
        stores: Mapping[str, Store],
        carrier: Carrier,
        saga_key: str,
        *,
        sku: str,
        quantity: int,
        card: str,
    ) -> None:
        """Read everything."""
        with stores["orders"].reading() as connection, Session(bind=connection) as session:
            order = session.get(Order, saga_key)
            self.status = order.status if order else None
        with stores["inventory"].reading() as connection, Session(bind=connection) as session:
            stock = session.get_one(Stock, sku)
            self.available, self.held, self.shipped = stock.available, stock.held, stock.shipped
            self.received = stock.received
        with stores["payments"].reading() as connection, Session(bind=connection) as session:
            found = session.get_one(Card, card)
            self.opened_with, self.on_card = found.opened_with, found.balance
            charges = session.exec(select(Charge).where(Charge.order_key == saga_key)).all()
            self.charges = [(charge.amount, charge.refunded) for charge in charges]
        with stores["shipping"].reading() as connection, Session(bind=connection) as session:
            ours = session.exec(select(Shipment.cancelled).where(Shipment.sku == sku)).all()
            self.parcels = Effects(len(ours), sum(ours))
        self.quantity = quantity
        self.carriers = _at_the_carrier(carrier, saga_key)

    def effects(self) -> dict[str, Effects]:
        """Return how often each step shows as done and undone."""
        accepted = int(self.status is not None)
        return {
            "orders.accept_order": Effects(accepted, int(self.status == OrderStatus.REJECTED)),
            "orders.confirm_order": Effects(int(self.status == OrderStatus.CONFIRMED)),
            "inventory.ship_stock": Effects(self._runs(self.shipped)),
            "payments.charge_card": Effects(
                len(self.charges), sum(refunded for _, refunded in self.charges)
            ),
            "shipping.book_shipment": self.carriers,
        }

    def accounts(self, *, is_done: bool) -> list[Account]:
        """Return the sums that must agree, at the end of an order that is done or undone."""
        kept = sum((amount for amount, refunded in self.charges if not refunded), Decimal(0))
        there = self.available + self.held + self.shipped
        return [
            Account("units on the shelf, held and shipped", self.received, there),
            Account("units still held", 0, self.held),
            Account("units shipped", self.quantity if is_done else 0, self.shipped),
            Account("money on the card and charged", self.opened_with, self.on_card + kept),
            Account("parcels booked and cancelled, here and there", self.carriers, self.parcels),
        ]

    def _runs(self, units: int) -> int:
        return units // self.quantity if self.quantity else 0


def _at_the_carrier(carrier: Carrier, saga_key: str) -> Effects:
    with carrier.lock:
        answers = [
            answer.body
            for key, (_, answer) in carrier.answers.items()
            if f"/{saga_key}/" in key and answer.status < 300
        ]
    booked = {body["parcel"] for body in answers if "parcel" in body}
    return Effects(len(booked), len({body["cancelled"] for body in answers if "cancelled" in body}))
