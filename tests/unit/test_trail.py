"""The trail: every service asked at once, what is missing said, and the order of things kept."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import CollectorRegistry
from rich.console import Console

from sagaworks import manage, trail
from sagaworks.manage import Management
from sagaworks.settings import Settings
from sagaworks.trail import Trail, Unreachable, read_trail

Entry = dict[str, object]
Environ = dict[str, str]

BOTH = ("orders", "stock")


def entry(step: str, at: str, event: str = "executed", **more: object) -> Entry:
    return {
        "step": step,
        "event": event,
        "at": f"2026-01-02T10:00:{at}+00:00",
        "round": 1,
        "each": "",
        "process_instance": 2251799813685249,
        "in_doubt": False,
        **more,
    }


@pytest.fixture(autouse=True)
def _ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manage, "_POLL_SECONDS", 0.01)


@pytest.fixture
def environ() -> Environ:
    """The settings by which the trail is read; `worker` and `answering` add their URLs."""
    return {}


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def worker(environ: Environ, closing: ExitStack) -> Callable[..., None]:
    """Serve a ledger as a worker does."""

    def serve(name: str, *entries: Entry, called: str | None = None, token: str = "") -> None:
        management = Management(
            Settings.load({"SAGAWORKS_TOKEN": token}),
            name,
            live=list,
            ready=list,
            registry=CollectorRegistry(),
            ledger=lambda key: entries if key == "order/42 ä" else (),
            queries={},
        )
        environ[f"{(called or name).upper()}_MANAGEMENT_URL"] = management.start()
        closing.callback(management.stop)

    return serve


@pytest.fixture
def answering(environ: Environ, closing: ExitStack) -> Callable[..., None]:
    """Serve something else than a worker under a service's URL."""

    def serve(name: str, status: int, body: bytes, location: str = "") -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        environ[f"{name.upper()}_MANAGEMENT_URL"] = f"http://127.0.0.1:{server.server_port}"
        closing.callback(thread.join)
        closing.callback(server.server_close)
        closing.callback(server.shutdown)

    return serve


@pytest.fixture
def read(environ: Environ) -> Callable[..., Trail]:
    def ask(services: tuple[str, ...] = BOTH) -> Trail:
        return read_trail("order/42 ä", services, Settings.load(environ))

    return ask


def test_the_ledgers_are_merged_by_time(
    worker: Callable[..., None], read: Callable[..., Trail]
) -> None:
    worker("orders", entry("accept_order", "00.100"), entry("reject_order", "00.900", "undone"))
    worker("stock", entry("hold_stock", "00.500", "refused", code="OUT_OF_STOCK"))

    found = read()

    steps = [(one["service"], one["step"]) for one in found.entries]
    assert steps == [
        ("orders", "accept_order"),
        ("stock", "hold_stock"),
        ("orders", "reject_order"),
    ]
    assert found.process_instances == (2251799813685249,)
    assert found.unreachable == ()


def test_a_service_without_a_worker_is_unreachable_and_the_others_are_told(
    worker: Callable[..., None], read: Callable[..., Trail]
) -> None:
    worker("orders", entry("accept_order", "00.100"))

    found = read()

    assert len(found.entries) == 1
    assert found.unreachable == (Unreachable("stock", "no worker is running"),)


def test_a_worker_that_died_is_unreachable(environ: Environ, read: Callable[..., Trail]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        environ["STOCK_MANAGEMENT_URL"] = f"http://127.0.0.1:{free.getsockname()[1]}"

    (missing,) = read(("stock",)).unreachable

    assert missing.why == "no answer: Connection refused"


def test_a_worker_that_hangs_is_not_waited_for(
    environ: Environ, read: Callable[..., Trail], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "_PATIENCE", timedelta(seconds=0.1))
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        environ["STOCK_MANAGEMENT_URL"] = f"http://127.0.0.1:{deaf.getsockname()[1]}"

        (missing,) = read(("stock",)).unreachable

    assert missing.why == "no answer: it took longer than 0.1 s"


def test_the_token_opens_the_ledger_and_a_wrong_one_is_named(
    worker: Callable[..., None], environ: Environ, read: Callable[..., Trail]
) -> None:
    worker("stock", entry("hold_stock", "00.500"), token="hunter2")

    (missing,) = read(("stock",)).unreachable
    assert missing.why == "refused: SAGAWORKS_TOKEN must be the worker's"

    environ["SAGAWORKS_TOKEN"] = "hunter2"
    assert len(read(("stock",)).entries) == 1


def test_a_port_that_another_worker_has_by_now_is_not_believed(
    worker: Callable[..., None], read: Callable[..., Trail]
) -> None:
    worker("orders", entry("accept_order", "00.100"), called="stock")

    found = read(("stock",))

    assert found.entries == ()
    assert found.unreachable == (Unreachable("stock", "its port is orders's now"),)


@pytest.mark.parametrize(
    "status, body, why",
    [
        (200, b"<html>", "what answers is no worker"),
        (200, b"[]", "what answers is no worker"),
        (200, b'{"service": "stock", "entries": [{"at": "soon"}]}', "what answers is no worker"),
        (200, b'{"service": "stock", "entries": 7}', "what answers is no worker"),
        (503, b'{"error": "the database is locked"}', "answered 503: the database is locked"),
        (500, b"<html>", "answered 500: Internal Server Error"),
    ],
)
def test_what_answers_something_else_is_unreachable(
    answering: Callable[..., None], read: Callable[..., Trail], status: int, body: bytes, why: str
) -> None:
    answering("stock", status, body)

    assert read(("stock",)).unreachable == (Unreachable("stock", why),)


def test_a_redirect_does_not_carry_the_token_elsewhere(
    answering: Callable[..., None],
    worker: Callable[..., None],
    environ: Environ,
    read: Callable[..., Trail],
) -> None:
    environ["SAGAWORKS_TOKEN"] = "hunter2"
    worker("orders", entry("accept_order", "00.100"), token="hunter2")
    answering("stock", 302, b"", location=f"{environ['ORDERS_MANAGEMENT_URL']}/ledger/x")

    assert read(("stock",)).unreachable == (Unreachable("stock", "answered 302: Found"),)


def test_json_is_one_object_for_programs() -> None:
    one = {**entry("hold_stock", "00.500"), "service": "stock"}
    found = Trail("order-42", (one,), (Unreachable("orders", "no worker is running"),))

    assert json.loads(found.as_json()) == {
        "saga_key": "order-42",
        "process_instance": 2251799813685249,
        "entries": [one],
        "unreachable": [{"service": "orders", "why": "no worker is running"}],
        "engine": None,
        "no_engine": None,
    }
    assert json.loads(Trail("nobody", ()).as_json())["process_instance"] is None


def shown(*entries: Entry) -> list[str]:
    console = Console(width=200, highlight=False)
    with console.capture() as capture:
        console.print(Trail("order-42", tuple(entries)).as_table())
    return [line.rstrip() for line in capture.get().splitlines()]


def test_the_table_shows_time_step_event_round_and_milliseconds_since_the_start() -> None:
    _, first, second = shown(
        {**entry("accept_order", "00.100"), "service": "orders"},
        {**entry("hold_stock", "01.350", "refused", round=2, code="OUT"), "service": "stock"},
    )

    assert first.split() == ["10:00:00.100", "orders", "accept_order", "executed", "1", "0"]
    assert second.split() == [
        *["10:00:01.350", "stock", "hold_stock", "refused", "OUT", "2", "1250"]
    ]


def test_an_undecided_effect_is_marked_in_words() -> None:
    _, line = shown({**entry("hold_stock", "00.100", in_doubt=True), "service": "stock"})

    assert "IN DOUBT" in line


def test_a_value_cannot_colour_or_break_the_table() -> None:
    odd = {**entry("hold_stock", "00.100", each="[red]\x1b[2J\n"), "service": "stock"}

    _, line = shown(odd)

    assert "each [red]?[2J?" in line
