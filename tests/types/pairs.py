"""Pairs that must not type-check: each line marked `wrong` undoes a step from another fact."""

from sqlmodel import Session, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from sagaworks import Saga, Service

service = Service("pairs")


class StockHeld(SQLModel):
    """What the step returns."""

    quantity: int


class CardCharged(SQLModel):
    """What another step returns."""

    amount: int


@service.step
def hold_stock(session: Session, quantity: int) -> StockHeld:
    """Return one fact."""
    return StockHeld(quantity=quantity)


@hold_stock.compensation  # wrong
def release_stock(session: Session, charged: CardCharged) -> None:
    """Ask for another."""


@service.remote_step
def book_shipment(saga: Saga, quantity: int) -> StockHeld:
    """Return one fact."""
    return StockHeld(quantity=quantity)


@book_shipment.compensation  # wrong
def cancel_shipment(saga: Saga, charged: CardCharged) -> None:
    """Ask for another."""


@book_shipment.record  # wrong
def keep_shipment(session: Session, charged: CardCharged) -> None:
    """Ask for another."""


hold_stock("no session", quantity=2)  # wrong


@service.step
async def hold_stock_async(session: AsyncSession, quantity: int) -> StockHeld:
    """Return one fact, awaited."""
    return StockHeld(quantity=quantity)


@hold_stock_async.compensation  # wrong
async def release_stock_async(session: AsyncSession, charged: CardCharged) -> None:
    """Ask for another."""


@service.step
async def hold_more(session: AsyncSession, quantity: int) -> StockHeld:
    """Return one fact, awaited."""
    return StockHeld(quantity=quantity)


@hold_more.compensation  # wrong
def release_more(session: Session, charged: CardCharged) -> None:
    """Ask for another, as a plain function."""


@hold_more.compensation  # wrong
async def release_plainly(session: Session, held: StockHeld) -> None:
    """Ask for a session that can't be awaited."""
