"""Inventory: sets stock aside for an order, and puts it back if the order falls through."""

from sqlmodel import Session

from models.inventory import Stock, StockHeld
from sagaworks import Refusal, Service

inventory = Service("inventory")


class OutOfStock(Refusal):
    """The shelf holds fewer units than the order asks for."""


@inventory.step
def hold_stock(session: Session, sku: str, quantity: int) -> StockHeld:
    """Set `quantity` units of `sku` aside for the order."""
    stock = session.get(Stock, sku, with_for_update=True)
    if stock is None or stock.available < quantity:
        available = stock.available if stock else 0
        raise OutOfStock(f"{sku}: {available} available, {quantity} asked for")
    stock.available -= quantity
    return StockHeld(sku=sku, quantity=quantity)


@hold_stock.compensation
def release_stock(session: Session, held: StockHeld) -> None:
    """Put the held units back on the shelf."""
    stock = session.get_one(Stock, held.sku, with_for_update=True)
    stock.available += held.quantity


@inventory.query
def available(session: Session, sku: str) -> int:
    """How many units can still be sold."""
    stock = session.get(Stock, sku)
    return stock.available if stock else 0
