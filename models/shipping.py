"""Shipping: the parcels that the carrier has promised to fetch."""

from sqlmodel import Field, SQLModel


class Shipment(SQLModel, table=True):
    """A parcel under the carrier's number."""

    parcel: str = Field(primary_key=True, max_length=64)
    sku: str = Field(max_length=64)
    quantity: int
    cancelled: bool = False


class ShipmentBooked(SQLModel):
    """The carrier will fetch the parcel."""

    parcel: str
    sku: str
    quantity: int


class ShippingBooks(SQLModel):
    """How many parcels were booked, and how many of them cancelled."""

    booked: int
    cancelled: int
