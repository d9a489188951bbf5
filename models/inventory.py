"""Inventory: the shelf, unit by unit."""

from sqlmodel import Field, SQLModel


class Stock(SQLModel, table=True):
    """The units of one article; `received` is always the sum of the three others."""

    sku: str = Field(primary_key=True, max_length=64)
    available: int
    held: int = 0
    shipped: int = 0
    received: int


class StockHeld(SQLModel):
    """Units are set aside for an order."""

    sku: str
    quantity: int


class StockShipped(SQLModel):
    """Held units have left the house."""

    sku: str
    quantity: int


class InventoryBooks(SQLModel):
    """Where the units of all articles are."""

    available: int
    held: int
    shipped: int
    received: int
