"""Inventory: the shelf."""

from sqlmodel import Field, SQLModel


class Stock(SQLModel, table=True):
    """How many units of an article can still be sold."""

    sku: str = Field(primary_key=True, max_length=64)
    available: int


class StockHeld(SQLModel):
    """Units are set aside for an order."""

    sku: str
    quantity: int
