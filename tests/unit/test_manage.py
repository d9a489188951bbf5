"""The management port: short answers, bounded time, and nothing for strangers."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any, Never

import pytest
from loguru import logger
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from sagaworks import manage
from sagaworks.errors import ConfigurationError, SagaworksError
from sagaworks.manage import Management
from sagaworks.observe.metrics import WorkerMetrics
from sagaworks.settings import Settings

TOKEN = {"SAGAWORKS_TOKEN": "hunter2"}
FOR_ALL = {"SAGAWORKS_MANAGE_HOST": "0.0.0.0"}  # noqa: S104  what is refused
GUARDED = ["/metrics", "/ledger/order-42", "/queries/books"]


class Books(BaseModel):
    held: int
    worth: Decimal


Serve = Callable[..., "Port"]


class Worker:
    """What a worker gives its management port, changeable by a test."""

    def __init__(self) -> None:
        self.live: list[str] = []
        self.ready: list[str] = []
        self.asked: list[str] = []
        self.registry = CollectorRegistry()
        WorkerMetrics(self.registry)
        self.queries = {"books": self.books, "broken": self.broken}

    def ledger(self, key: str) -> list[dict[str, str]]:
        self.asked.append(key)
        if key == "locked":
            raise SagaworksError("the database is locked")
        return [{"step": "hold_stock"}] if key.startswith("order") else []

    def books(self, parameters: Mapping[str, str]) -> list[Books]:
        if parameters.get("sku") == "":
            raise SagaworksError("sku: empty")
        return [Books(held=2, worth=Decimal("19.90"))]

    def broken(self, _: Mapping[str, str]) -> Never:
        raise ValueError("secret of the inside")


@pytest.fixture(autouse=True)
def _ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manage, "_POLL_SECONDS", 0.01)


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def serve(worker: Worker) -> Iterator[Serve]:
    """Start a management port with these settings; the result fetches a path of it."""
    started = []

    def start(environ: dict[str, str] | None = None) -> Port:
        management = Management(
            Settings.load(environ or {}),
            "inventory",
            live=lambda: worker.live,
            ready=lambda: worker.ready,
            registry=worker.registry,
            ledger=worker.ledger,
            queries=worker.queries,
        )
        url = management.start()
        started.append(management)
        return Port(url)

    yield start
    for management in started:
        management.stop()


class Port:
    """One port, asked as a client does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.address = url.removeprefix("http://")

    def ask(self, path: str, *, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection(self.address, timeout=5)) as connection:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            self.headers = answer.headers
            return answer.status, answer.read()

    def json(self, path: str, **more: str) -> tuple[int, Any]:
        status, body = self.ask(path, **more)
        return status, json.loads(body)

    def raw(self, request: bytes) -> bytes:
        host, _, port = self.address.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5) as connection:
            connection.sendall(request)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    while part := connection.recv(65536):
        answer += part
    return answer


@pytest.mark.parametrize("what", ["live", "ready"])
def test_fine_is_200_and_a_reason_against_it_503(serve: Serve, worker: Worker, what: str) -> None:
    port = serve()
    assert port.json(f"/{what}") == (200, {what: True, "reasons": []})

    setattr(worker, what, ["no engine answers"])

    assert port.json(f"/{what}") == (503, {what: False, "reasons": ["no engine answers"]})


def test_the_ledger_answers_with_the_services_name_and_the_decoded_key(
    serve: Serve, worker: Worker
) -> None:
    port = serve()

    found = port.json("/ledger/order%2F4%202%C3%A4")

    assert found == (
        200,
        {"service": "inventory", "saga_key": "order/4 2ä", "entries": [{"step": "hold_stock"}]},
    )
    assert port.json("/ledger/nobody")[1]["entries"] == []
    assert worker.asked == ["order/4 2ä", "nobody"]


def test_a_query_is_answered_by_the_codec(serve: Serve) -> None:
    assert serve().json("/queries/books?sku=lamp") == (200, [{"held": 2, "worth": "19.90"}])


def test_metrics_are_prometheus_text(serve: Serve) -> None:
    port = serve()

    status, body = port.ask("/metrics")

    assert (status, port.headers.get_content_type()) == (200, "text/plain")
    assert b"sagaworks_draining 0.0" in body


@pytest.mark.parametrize(
    "path, status, word",
    [
        ("/", 404, "no such page"),
        ("/ledger/", 404, "no such page"),
        ("/metrics/x", 404, "no such page"),
        ("/queries/stock", 404, "no such query"),
        ("/queries/books?sku=", 400, "sku: empty"),
        ("/queries/books?a=1&a=2", 400, "twice"),
        ("/queries/books?a=%ff", 400, "URL-encoded"),
        ("/queries/books?" + "&".join(f"p{n}=1" for n in range(60)), 400, "too many"),
        ("/ledger/%ff", 400, "URL-encoded"),
        ("/ledger/locked", 503, "locked"),
        ("/queries/broken", 500, "log"),
    ],
)
def test_what_cannot_be_answered_is_a_status_and_one_line_of_json(
    serve: Serve, path: str, status: int, word: str
) -> None:
    found = serve().json(path)

    assert found[0] == status
    assert word in found[1]["error"]


def test_a_failure_inside_is_logged_and_not_shown(serve: Serve) -> None:
    logged: list[str] = []
    sink = logger.add(logged.append, format="{message}", backtrace=False, diagnose=False)
    try:
        _, body = serve().ask("/queries/broken?card=4111")
    finally:
        logger.remove(sink)

    assert b"secret" not in body
    assert b"Traceback" not in body
    assert "ValueError" in "".join(logged)
    assert "4111" not in "".join(logged)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_only_get_and_head_are_answered(serve: Serve, method: str) -> None:
    port = serve()

    status, body = port.json("/live", method=method)

    assert (status, port.headers["Allow"]) == (405, "GET, HEAD")
    assert "only GET and HEAD" in body["error"]


def test_head_is_get_without_a_body(serve: Serve) -> None:
    port = serve()

    assert port.ask("/live", method="HEAD") == (200, b"")
    assert int(port.headers["Content-Length"]) > 0
    assert port.raw(b"HEAD /live HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")


def test_the_answer_names_no_server_and_is_not_kept(serve: Serve) -> None:
    port = serve()
    port.ask("/live")

    assert port.headers["Server"] is None
    assert port.headers["Cache-Control"] == "no-store"
    assert b"Python" not in port.raw(b"nonsense\r\n\r\n")


@pytest.mark.parametrize(
    "request_", [b"GET\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET /live HTTP/9.9\r\n\r\n"]
)
def test_nonsense_is_refused_as_json(serve: Serve, request_: bytes) -> None:
    answer = serve().raw(request_)

    assert json.loads(answer[answer.index(b"{") :])["error"]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "sent", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic hunter2"}]
)
def test_with_a_token_the_inside_is_for_those_who_have_it(
    serve: Serve, worker: Worker, path: str, sent: dict[str, str]
) -> None:
    port = serve(TOKEN)

    assert port.ask(path, **sent)[0] == 401
    assert worker.asked == []
    assert port.ask(path, Authorization="Bearer hunter2")[0] == 200


def test_probes_need_no_token(serve: Serve) -> None:
    port = serve(TOKEN)

    assert port.ask("/live")[0] == port.ask("/ready")[0] == 200


def test_where_others_can_connect_a_token_is_demanded_at_start(serve: Serve) -> None:
    with pytest.raises(ConfigurationError, match="SAGAWORKS_TOKEN"):
        serve(FOR_ALL)


def test_a_port_for_all_is_told_with_an_address_that_works_here(serve: Serve) -> None:
    port = serve({**FOR_ALL, **TOKEN})

    assert port.url.startswith("http://127.0.0.1:")
    assert port.ask("/live")[0] == 200


def test_ipv6_loopback_is_loopback(serve: Serve) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 on this machine")

    assert serve({"SAGAWORKS_MANAGE_HOST": "::1"}).ask("/live")[0] == 200


@pytest.mark.parametrize("path", GUARDED)
def test_a_web_page_with_a_name_of_its_own_for_this_machine_reads_nothing(
    serve: Serve, path: str
) -> None:
    port = serve()

    assert port.ask(path, Host="evil.example")[0] == 403
    assert port.ask(path, Host="localhost:1")[0] == 200


def test_a_port_in_use_is_one_clear_line(serve: Serve) -> None:
    taken = serve().address.rpartition(":")[2]

    with pytest.raises(ConfigurationError, match=f"port {taken}.*INVENTORY_MANAGE_PORT"):
        serve({"INVENTORY_MANAGE_PORT": taken})


def test_who_drips_its_request_is_cut_off(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manage, "_READ_LIMIT", timedelta(seconds=0.2))
    port = serve()
    host, _, number = port.address.rpartition(":")

    with socket.create_connection((host, int(number)), timeout=5) as slow:
        slow.sendall(b"GET /live HTTP/1.1\r\nX: ")

        assert read_all(slow) == b""


def test_a_flood_of_connections_takes_no_more_threads(serve: Serve) -> None:
    port = serve()
    host, _, number = port.address.rpartition(":")
    address = (host, int(number))
    idle = [socket.create_connection(address, timeout=5) for _ in range(manage._CONNECTIONS)]
    try:
        with socket.create_connection(address, timeout=5) as one_more:
            assert one_more.recv(1) == b""
    finally:
        for connection in idle:
            connection.close()


def test_after_stop_nobody_answers(serve: Serve, worker: Worker) -> None:
    management = Management(
        Settings.load({}),
        "inventory",
        live=list,
        ready=list,
        registry=worker.registry,
        ledger=worker.ledger,
        queries={},
    )
    port = Port(management.start())

    management.stop()
    management.stop()

    with pytest.raises(ConnectionRefusedError):
        port.ask("/live")
