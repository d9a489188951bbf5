"""Inventory: sets stock aside for an order, and puts it back if the order falls through."""

from sqlmodel import Session, func, select

from models.inventory import InventoryBooks, Stock, StockHeld, StockShipped
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
    stock.held += quantity
    return StockHeld(sku=sku, quantity=quantity)


@hold_stock.compensation
def release_stock(session: Session, held: StockHeld) -> None:
    """Put the held units back on the shelf."""
    stock = session.get_one(Stock, held.sku, with_for_update=True)
    stock.held -= held.quantity
    stock.available += held.quantity


@inventory.step(kind="retriable")
def ship_stock(session: Session, stock_held: StockHeld) -> StockShipped:
    """Hand the held units to the carrier."""
    stock = session.get_one(Stock, stock_held.sku, with_for_update=True)
    stock.held -= stock_held.quantity
    stock.shipped += stock_held.quantity
    return StockShipped(sku=stock_held.sku, quantity=stock_held.quantity)


@inventory.query
def books(session: Session) -> InventoryBooks:
    """Where the units of all articles are."""
    units = (func.sum(Stock.available), func.sum(Stock.held), func.sum(Stock.shipped))
    available, held, shipped, received = session.exec(
        select(*units, func.sum(Stock.received))
    ).one()
    return InventoryBooks(
        available=available or 0, held=held or 0, shipped=shipped or 0, received=received or 0
    )
