"""The same two job types, carried out by Sagaworks, while sagas from before are in flight."""

from sqlmodel import Session

from models.inventory import Stock, StockHeld
from sagaworks import Refusal, Service

inventory = Service("inventory")


class OutOfStock(Refusal):
    """The shelf holds fewer units than the order asks for."""


@inventory.step(taken_over=True)
def hold_stock(session: Session, sku: str, quantity: int) -> StockHeld:
    """Set `quantity` units of `sku` aside for the order."""
    stock = session.get(Stock, sku, with_for_update=True)
    if stock is None or stock.available < quantity:
        raise OutOfStock
    stock.available -= quantity
    stock.held += quantity
    return StockHeld(sku=sku, quantity=quantity)


@hold_stock.compensation
def release_stock(session: Session, held: StockHeld) -> None:
    """Put the held units back on the shelf."""
    stock = session.get_one(Stock, held.sku, with_for_update=True)
    stock.held -= held.quantity
    stock.available += held.quantity
