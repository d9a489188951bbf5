"""Inventory as plain pyzeebe carries it out: what one has before the move."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from pyzeebe import ZeebeTaskRouter
from pyzeebe.errors import BusinessError
from sqlmodel import Session

from models.inventory import Stock

OpenSession = Callable[[], AbstractContextManager[Session]]


def inventory_router(open_session: OpenSession) -> ZeebeTaskRouter:
    router = ZeebeTaskRouter()

    @router.task(task_type="inventory.hold_stock")
    def hold_stock(sku: str, quantity: int) -> dict[str, Any]:
        with open_session() as session:
            stock = session.get(Stock, sku, with_for_update=True)
            if stock is None or stock.available < quantity:
                raise BusinessError("OUT_OF_STOCK")
            stock.available -= quantity
            stock.held += quantity
            session.flush()
        return {"held": quantity}

    @router.task(task_type="inventory.release_stock")
    def release_stock(sku: str, held: int) -> dict[str, Any]:
        with open_session() as session:
            stock = session.get_one(Stock, sku, with_for_update=True)
            stock.held -= held
            stock.available += held
            session.flush()
        return {}

    return router
