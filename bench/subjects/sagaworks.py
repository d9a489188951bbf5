"""The three services as Sagaworks runs them: `run_worker`, nothing left out, nothing added."""

import os
import time
from typing import Final

from sqlmodel import Session

from bench import shop
from sagaworks import Refusal, Saga, Service

STEP_SECONDS: Final = float(os.environ.get("BENCH_STEP_SECONDS", "0"))
"""How much longer a step takes, for the soak."""


class NoCarrier(Refusal):
    """Nobody takes it."""


def service_of(role: str, name: str) -> Service:
    """Return the service that plays a role; a run's own name gives it job types of its own."""
    service = Service(name)
    {"inventory": _inventory, "payments": _payments, "shipping": _shipping}[role](service)
    return service


def _inventory(service: Service) -> None:
    @service.step
    def hold_stock(session: Session, saga: Saga, item: int) -> shop.StockHeld:
        """Set a unit aside."""
        _linger()
        return shop.hold_stock(session, saga.business_key, item)

    @hold_stock.compensation
    def release_stock(session: Session, held: shop.StockHeld, saga: Saga) -> None:
        """Put the unit back."""
        shop.release_stock(session, saga.business_key, held)


def _payments(service: Service) -> None:
    @service.step
    def charge_card(session: Session, saga: Saga, item: int) -> shop.CardCharged:
        """Charge the card."""
        _linger()
        return shop.charge_card(session, saga.business_key, item)

    @charge_card.compensation
    def refund_card(session: Session, charged: shop.CardCharged, saga: Saga) -> None:
        """Give the money back."""
        shop.refund_card(session, saga.business_key, charged)


def _shipping(service: Service) -> None:
    @service.step(kind="pivot")
    def book_shipment(
        session: Session,
        saga: Saga,
        item: int,
        doomed: bool,  # noqa: FBT001  a process variable
    ) -> shop.ShipmentBooked:
        """Book a place in a van.

        Raises:
            NoCarrier: nobody takes it.
        """
        _linger()
        try:
            return shop.book_shipment(session, saga.business_key, item, doomed)
        except shop.NoCarrierError:
            raise NoCarrier from None


def _linger() -> None:
    if STEP_SECONDS:
        time.sleep(STEP_SECONDS)
