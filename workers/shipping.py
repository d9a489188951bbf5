"""Shipping: books a parcel with the carrier, another company, and cancels it if need be."""

import os
from urllib.parse import quote

from sqlmodel import Session, col, func, select

from models.shipping import Shipment, ShipmentBooked, ShippingBooks
from sagaworks import Halt, Refusal, Saga, Service
from sagaworks.partner import Partner

shipping = Service("shipping")


class NoCarrier(Refusal):
    """The carrier doesn't go to that address."""


def carrier_url() -> str:
    """Return where the carrier is: the environment's CARRIER_URL."""
    return os.environ.get("CARRIER_URL", "http://127.0.0.1:8290")


carrier = Partner("the carrier", carrier_url, refusal=NoCarrier)


@shipping.remote_step
def book_shipment(saga: Saga, sku: str, quantity: int, address: str) -> ShipmentBooked:
    """Have the carrier fetch the parcel and take it to `address`."""
    parcel = {"sku": sku, "quantity": quantity, "address": address}
    answer = carrier.ask("POST", "/parcels", saga, parcel)
    if not isinstance(answer.get("parcel"), str):
        raise Halt("the carrier's answer names no parcel")
    return ShipmentBooked(parcel=answer["parcel"], sku=sku, quantity=quantity)


@book_shipment.record
def keep_shipment(session: Session, booked: ShipmentBooked) -> None:
    """Note the parcel that the carrier has promised to fetch."""
    session.add(Shipment(parcel=booked.parcel, sku=booked.sku, quantity=booked.quantity))


@book_shipment.compensation
def cancel_shipment(saga: Saga, booked: ShipmentBooked) -> None:
    """Tell the carrier not to come."""
    carrier.ask("DELETE", f"/parcels/{quote(booked.parcel, safe='')}", saga)


@cancel_shipment.record
def drop_shipment(session: Session, booked: ShipmentBooked) -> None:
    """Note that the carrier won't come."""
    shipment = session.get_one(Shipment, booked.parcel, with_for_update=True)
    shipment.cancelled = True


@shipping.query
def books(session: Session) -> ShippingBooks:
    """How many parcels were booked, and how many of them cancelled."""
    booked = select(func.count()).select_from(Shipment)
    cancelled = booked.where(col(Shipment.cancelled))
    return ShippingBooks(booked=session.exec(booked).one(), cancelled=session.exec(cancelled).one())
