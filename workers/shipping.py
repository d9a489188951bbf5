"""Shipping: books a parcel with the carrier, another company, and cancels it if need be."""

import json
import os
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

from sqlmodel import Session, col, func, select

from models.shipping import Shipment, ShipmentBooked, ShippingBooks
from sagaworks import Halt, Refusal, Retry, Saga, Service

shipping = Service("shipping")

ANSWER_WITHIN = 5.0
"""Seconds that the carrier may take for an answer."""

LONGEST_ANSWER = 100_000
"""Bytes of an answer that are read."""

ANSWERS = {HTTPStatus.UNPROCESSABLE_ENTITY, *range(200, 300)}
ASK_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)}


class NoCarrier(Refusal):
    """The carrier doesn't go to that address."""


@shipping.remote_step
def book_shipment(saga: Saga, sku: str, quantity: int, address: str) -> ShipmentBooked:
    """Have the carrier fetch the parcel and take it to `address`."""
    parcel = {"sku": sku, "quantity": quantity, "address": address}
    answer = ask_carrier("POST", "/parcels", saga, parcel)
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
    ask_carrier("DELETE", f"/parcels/{quote(booked.parcel, safe='')}", saga)


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


def carrier_url() -> str:
    """Return where the carrier is: the environment's CARRIER_URL."""
    return os.environ.get("CARRIER_URL", "http://127.0.0.1:8290")


def ask_carrier(
    method: str, path: str, saga: Saga, parcel: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Send one request under the saga's idempotency key; return the carrier's answer.

    Raises:
        NoCarrier: the carrier says no (422).
        Retry: it says nothing in time, or that it can't answer now. Whether it acted is unknown,
            and the same key makes asking again harmless.
        Halt: it doesn't understand us.
    """
    # A header holds ASCII only, and an order's name may be written in any script.
    key = quote(saga.idempotency_key, safe="%/<>:")
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    try:
        status, body = _send(method, path, headers, json.dumps(parcel) if parcel else None)
    except (OSError, HTTPException) as error:
        raise Retry(f"no answer from the carrier: {type(error).__name__}") from error
    if status in ASK_AGAIN:
        raise Retry(f"the carrier answers {status}")
    if status not in ANSWERS:
        raise Halt(f"the carrier answers {status}")
    answer = _read(body)
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise NoCarrier(str(answer.get("reason", "")))
    return answer


def _send(method: str, path: str, headers: dict[str, str], body: str | None) -> tuple[int, bytes]:
    url = urlsplit(carrier_url())
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    with closing(kind(url.hostname or "", url.port, timeout=ANSWER_WITHIN)) as connection:
        connection.request(method, url.path.rstrip("/") + path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(LONGEST_ANSWER)


def _read(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body or b"{}")
    except ValueError as error:
        raise Retry("the carrier's answer can't be read") from error
    return answer if isinstance(answer, dict) else {}
