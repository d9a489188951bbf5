import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from demo.errors import DemoError
from demo.readings import Readings

ANSWERS = {
    "/ready": (503, {"ready": False, "reasons": ["no engine"]}),
    "/queries/books?": (200, {"accepted": 1}),
    "/ledger/order%2F1": (200, {"entries": [{"step": "accept_order"}]}),
}


class Worker(BaseHTTPRequestHandler):
    """A management port that answers as told."""

    def do_GET(self) -> None:
        status, body = ANSWERS.get(self.path, (404, {"error": "no such page"}))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def readings() -> Iterator[Readings]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Worker) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Readings({"orders": f"http://127.0.0.1:{server.server_address[1]}"})
        server.shutdown()
        thread.join()


def test_a_worker_says_why_it_is_not_ready(readings: Readings) -> None:
    assert "no engine" in (readings.why_not_ready("orders") or "")


def test_a_query_is_answered(readings: Readings) -> None:
    assert readings.query("orders", "books") == {"accepted": 1}


def test_the_ledger_of_an_order_with_a_slash_in_its_key_is_found(readings: Readings) -> None:
    assert readings.ledger("orders", "order/1") == [{"step": "accept_order"}]


def test_a_worker_that_does_not_know_the_question_is_quoted(readings: Readings) -> None:
    with pytest.raises(DemoError, match=r"orders: 404 for GET /queries/nonsense.*no such page"):
        readings.query("orders", "nonsense")


def test_a_worker_that_is_gone_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

    with pytest.raises(DemoError, match=f"orders doesn't answer at {url}: ConnectionRefused"):
        Readings({"orders": url}).jobs()
