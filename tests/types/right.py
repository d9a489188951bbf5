"""Pairs that type-check, and the types that a caller sees."""

from typing import assert_type

from sqlmodel import Session, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from sagaworks import Saga, Service

service = Service("right")


class StockHeld(SQLModel):
    """What the step returns."""

    quantity: int


@service.step
def hold_stock(session: Session, quantity: int) -> StockHeld:
    """Return a fact."""
    return StockHeld(quantity=quantity)


@hold_stock.compensation
def release_stock(session: Session, held: StockHeld) -> None:
    """Take that fact."""


@service.step(kind="pivot")
def confirm_order(session: Session) -> None:
    """Return nothing."""


@service.remote_step
def book_shipment(saga: Saga, quantity: int) -> StockHeld:
    """Call something outside."""
    return StockHeld(quantity=quantity)


@book_shipment.compensation
def cancel_shipment(saga: Saga, held: StockHeld) -> None:
    """Take that fact."""


def call_them_as_plain_functions(session: Session, saga: Saga) -> None:
    """A step is still the function it was."""
    assert_type(hold_stock(session, quantity=2), StockHeld)
    release_stock(session, hold_stock(session, 2))
    assert_type(book_shipment(saga, 2), StockHeld)


@service.step
async def hold_stock_async(session: AsyncSession, quantity: int) -> StockHeld:
    """Return a fact that is awaited."""
    return StockHeld(quantity=quantity)


@hold_stock_async.compensation
async def release_stock_async(session: AsyncSession, held: StockHeld) -> None:
    """Take that fact."""


@service.step(kind="compensatable")
async def hold_more(session: AsyncSession, quantity: int) -> StockHeld:
    """Be declared with an option."""
    return StockHeld(quantity=quantity)


@hold_more.compensation
def release_more(session: Session, held: StockHeld) -> None:
    """Be plain where the step isn't."""


@service.remote_step
async def book_shipment_async(saga: Saga, quantity: int) -> StockHeld:
    """Await something outside."""
    return StockHeld(quantity=quantity)


@book_shipment_async.compensation
async def cancel_shipment_async(saga: Saga, booked: StockHeld) -> None:
    """Take that fact."""


async def ask(session: AsyncSession, saga: Saga) -> None:
    """Await what the functions return."""
    assert_type(await hold_stock_async(session, quantity=2), StockHeld)
    assert_type(await hold_more(session, quantity=2), StockHeld)
    assert_type(await book_shipment_async(saga, quantity=2), StockHeld)
