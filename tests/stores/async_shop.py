"""The shop's first step as an `async def`, as its author would write it."""

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from sagaworks import Service
from tests.stores.shop import OutOfStock, Shelf, StockHeld

shop = Service("shop")


@shop.step
async def hold_stock(session: AsyncSession, sku: str, quantity: int) -> StockHeld:
    """Set `quantity` units of `sku` aside for the order."""
    wanted = select(Shelf).where(Shelf.sku == sku).with_for_update()
    shelf = (await session.exec(wanted)).one()
    if shelf.available < quantity:
        raise OutOfStock(f"{sku}: {shelf.available} available, {quantity} asked for")
    shelf.available -= quantity
    return StockHeld(sku=sku, quantity=quantity)


@hold_stock.compensation
async def release_stock(session: AsyncSession, held: StockHeld) -> None:
    """Put the held units back on the shelf."""
    shelf = await session.get_one(Shelf, held.sku, with_for_update=True)
    shelf.available += held.quantity
