"""The simulated partners keep the promises that a remote step stands on."""

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from demo import partner_stub
from demo.carrier_stub import NOWHERE, Carrier, Server
from demo.rental_stub import ALWAYS_OUT, RentalCompany

PARCEL = {"sku": "lamp", "quantity": 1, "address": "Main Street 1"}
BOOK = "POST /parcels"


def test_a_repeated_call_gets_the_first_answer() -> None:
    carrier = Carrier()

    assert carrier.call("a", BOOK, PARCEL) == carrier.call("a", BOOK, PARCEL)
    assert carrier.books()["booked"] == 1
    assert carrier.books()["repeated"] == 1


def test_a_key_with_another_request_is_a_conflict() -> None:
    carrier = Carrier()
    carrier.call("a", BOOK, PARCEL)

    assert carrier.call("a", BOOK, {**PARCEL, "quantity": 2}).status == 409


def test_other_keys_are_other_parcels() -> None:
    carrier = Carrier()

    assert carrier.call("a", BOOK, PARCEL).body != carrier.call("b", BOOK, PARCEL).body


def test_nobody_lives_nowhere() -> None:
    carrier = Carrier()

    assert carrier.call("a", BOOK, {**PARCEL, "address": NOWHERE}).status == 422
    assert carrier.books()["booked"] == 0


def test_another_company_books_other_things_and_says_another_no() -> None:
    company = RentalCompany()

    booked = company.call("a", "POST /rentals", {"car_class": "van"})
    refused = company.call("b", "POST /rentals", {"car_class": ALWAYS_OUT})
    returned = company.call("c", "DELETE /rentals/R-000001")

    assert booked == (201, {"rental": "R-000001"})
    assert (refused.status, returned.status) == (422, 200)


def test_a_parcel_is_cancelled_once() -> None:
    carrier = Carrier()
    carrier.call("a", BOOK, PARCEL)

    statuses = [carrier.call(key, "DELETE /parcels/P-000001").status for key in ("b", "b", "c")]

    assert statuses == [200, 200, 409]
    assert carrier.books()["cancelled"] == 1


def test_an_unknown_parcel_is_not_found() -> None:
    assert Carrier().call("a", "DELETE /parcels/P-000001").status == 404


def test_a_busy_carrier_is_busy_once_for_each_call() -> None:
    carrier = Carrier(busy=100)

    first = [carrier.call(f"{n}", BOOK, PARCEL).status for n in range(50)]
    booked_meanwhile = carrier.books()["booked"]
    second = [carrier.call(f"{n}", BOOK, PARCEL).status for n in range(50)]

    assert set(first) == {503}
    assert set(second) == {201}
    assert 0 < booked_meanwhile < 50
    assert carrier.books()["booked"] == 50


def test_the_seed_decides_who_meets_a_busy_carrier() -> None:
    def busy(seed: int) -> list[bool]:
        carrier = Carrier(seed=seed, busy=20)
        return [carrier.call(f"{n}", BOOK, PARCEL).status == 503 for n in range(100)]

    assert busy(1) == busy(1)
    assert busy(1) != busy(2)
    assert 5 < sum(busy(1)) < 40


def test_the_memory_of_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partner_stub, "LONGEST_MEMORY", 3)
    carrier = Carrier()
    for n in range(10):
        carrier.call(f"{n}", BOOK, PARCEL)

    assert len(carrier.answers) == 3
    assert carrier.books()["booked"] == 10


def test_a_restarted_carrier_remembers(tmp_path: Path) -> None:
    journal = tmp_path / "carrier.jsonl"
    first = Carrier(journal=journal)
    answer = first.call("a", BOOK, PARCEL)
    first.call("b", BOOK, PARCEL)
    first.call("c", "DELETE /parcels/P-000002")
    first.close()

    second = Carrier(journal=journal)

    assert second.call("a", BOOK, PARCEL) == answer
    assert second.books() == {"booked": 2, "cancelled": 1, "busy": 0, "repeated": 1}
    assert second.call("d", BOOK, PARCEL).body == {"parcel": "P-000003"}
    second.close()


@pytest.fixture
def port() -> Iterator[int]:
    with Server(Carrier()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(port: int, method: str, path: str, body: str = "", **headers: str) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_booking_cancelling_and_the_books_over_http(port: int) -> None:
    booked = ask(port, "POST", "/parcels", json.dumps(PARCEL), Idempotency_Key="a")
    cancelled = ask(port, "DELETE", "/parcels/P-000001", Idempotency_Key="b")

    assert booked == (201, {"parcel": "P-000001"})
    assert cancelled == (200, {"cancelled": "P-000001"})
    assert ask(port, "GET", "/parcels")[1]["cancelled"] == 1


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", "/parcels", "{"),
        ("POST", "/parcels", "[]"),
        ("POST", "/elsewhere", "{}"),
        ("POST", "/parcels", json.dumps({"sku": "x" * 20_000})),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    port: int, method: str, path: str, body: str
) -> None:
    assert ask(port, method, path, body, Idempotency_Key="a")[0] == 400


def test_a_call_without_a_key_is_refused(port: int) -> None:
    assert ask(port, "POST", "/parcels", json.dumps(PARCEL))[0] == 400
