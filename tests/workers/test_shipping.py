"""Shipping, against the simulated carrier and against a port that misbehaves."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from sqlmodel import Session

from demo.carrier_stub import NOWHERE, Carrier, Server
from models.shipping import ShipmentBooked
from sagaworks import Halt, Retry, Saga
from workers.shipping import (
    NoCarrier,
    book_shipment,
    books,
    cancel_shipment,
    drop_shipment,
    keep_shipment,
)

SagaMaker = Callable[..., Saga]


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> Iterator[Carrier]:
    carrier = Carrier()
    with Server(carrier) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("CARRIER_URL", server.url)
        yield carrier
        server.shutdown()
        thread.join()


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Answer the next connection with the given bytes, and hang up."""
    threads = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("CARRIER_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")

        def answer_once(answer: bytes) -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(answer)

        def start(answer: bytes) -> None:
            threads.append(threading.Thread(target=answer_once, args=(answer,)))
            threads[-1].start()

        yield start
        for thread in threads:
            thread.join()


def book(saga: Saga, address: str = "Main Street 1") -> ShipmentBooked:
    return book_shipment(saga, sku="lamp", quantity=2, address=address)


@pytest.mark.usefixtures("carrier")
def test_a_booked_shipment_names_the_parcel(a_saga: SagaMaker) -> None:
    assert book(a_saga()) == ShipmentBooked(parcel="P-000001", sku="lamp", quantity=2)


def test_the_same_call_again_books_nothing_more(carrier: Carrier, a_saga: SagaMaker) -> None:
    assert book(a_saga()) == book(a_saga())

    assert carrier.books()["booked"] == 1


def test_an_order_may_be_named_in_any_script(carrier: Carrier, a_saga: SagaMaker) -> None:
    keys = ("注文/1", "🦊", "a b", "%F0", "order-42")
    for key in (*keys, *keys):
        book(a_saga(idempotency_key=key))

    assert carrier.books()["booked"] == len(keys)


def test_an_address_that_the_carrier_refuses_is_no_carrier(
    carrier: Carrier, a_saga: SagaMaker
) -> None:
    with pytest.raises(NoCarrier, match="nobody lives there"):
        book(a_saga(), address=NOWHERE)

    assert carrier.books()["booked"] == 0


def test_a_cancelled_shipment_is_cancelled_at_the_carrier(
    carrier: Carrier, a_saga: SagaMaker
) -> None:
    cancel_shipment(a_saga(idempotency_key="another"), book(a_saga()))

    assert carrier.books()["cancelled"] == 1


@pytest.mark.usefixtures("carrier")
def test_a_parcel_unknown_to_the_carrier_needs_a_person(a_saga: SagaMaker) -> None:
    with pytest.raises(Halt, match="404"):
        cancel_shipment(a_saga(), ShipmentBooked(parcel="P-9", sku="lamp", quantity=2))


def test_nobody_at_the_carriers_port_is_tried_again(
    a_saga: SagaMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("CARRIER_URL", f"http://127.0.0.1:{free.getsockname()[1]}")

    with pytest.raises(Retry, match="no answer from the carrier"):
        book(a_saga())


def test_a_carrier_that_takes_too_long_is_tried_again(
    a_saga: SagaMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sagaworks.partner.ANSWER_WITHIN", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("CARRIER_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")

        with pytest.raises(Retry, match="TimeoutError"):
            book(a_saga())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 429 Slowly\r\nContent-Length: 2\r\n\r\n{}",
        b'HTTP/1.1 201 Created\r\nContent-Length: 20\r\n\r\n{"par',
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>",
    ],
)
def test_a_doubtful_answer_is_asked_for_again(
    a_saga: SagaMaker, answering: Callable[[bytes], None], answer: bytes
) -> None:
    answering(answer)

    with pytest.raises(Retry):
        book(a_saga())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n[]",
    ],
)
def test_an_answer_that_asking_again_will_not_change_needs_a_person(
    a_saga: SagaMaker, answering: Callable[[bytes], None], answer: bytes
) -> None:
    answering(answer)

    with pytest.raises(Halt):
        book(a_saga())


def test_what_was_booked_and_cancelled_is_in_the_books(session: Session) -> None:
    for parcel in ("P-1", "P-2"):
        keep_shipment(session, ShipmentBooked(parcel=parcel, sku="lamp", quantity=1))
    drop_shipment(session, ShipmentBooked(parcel="P-2", sku="lamp", quantity=1))

    found = books(session)

    assert (found.booked, found.cancelled) == (2, 1)
