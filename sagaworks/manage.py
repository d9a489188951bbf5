"""A worker's management port: is it alive, is it ready, what it measured, what its ledger holds."""

from __future__ import annotations

import hmac
import json
import socket
import socketserver
import threading
import time
from datetime import timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from loguru import logger
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sagaworks.codec import to_json
from sagaworks.errors import ConfigurationError, SagaworksError
from sagaworks.loopback import is_loopback, reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from prometheus_client import CollectorRegistry

    from sagaworks.settings import Settings

_CONNECTIONS: Final = 16
"""Answered at once; a connection beyond is closed, so that a flood costs no threads."""

_READ_LIMIT: Final = timedelta(seconds=5)
"""A client that hasn't sent its whole request by then is cut off, however it drips."""

_POLL_SECONDS: Final = 0.25
"""How often to look for slow clients and for the end."""

_JSON_TYPE: Final = "application/json; charset=utf-8"
_MOST_PARAMETERS: Final = 50


class Management:
    """The HTTP server of one worker, in threads of its own.

    Open to all: ``/live`` and ``/ready`` (200 or 503, with reasons). With a bearer token, where
    one is set: ``/metrics``, ``/ledger/KEY``, ``/queries/NAME?parameter=…``.
    """

    def __init__(  # noqa: PLR0913  the worker's whole inside, seen from outside
        self,
        settings: Settings,
        service_name: str,
        *,
        live: Callable[[], list[str]],
        ready: Callable[[], list[str]],
        registry: CollectorRegistry,
        ledger: Callable[[str], Sequence[Mapping[str, object]]],
        queries: Mapping[str, Callable[[Mapping[str, str]], object]],
    ) -> None:
        """Bind nothing yet.

        Args:
            settings: `manage_host`, the service's port (0: a free one), `token`.
            service_name: told in answers, so that a reader notices a port that changed hands.
            live: what speaks against being alive, such as a stale heartbeat; empty: nothing.
            ready: what speaks against taking work; empty: nothing.
            registry: shown at ``/metrics``.
            ledger: the trail of a saga in this service, JSON-ready.
            queries: readers by name; they are given the URL's parameters as text.
        """
        self.service_name = service_name
        self.live = live
        self.ready = ready
        self.registry = registry
        self.ledger = ledger
        self.queries = queries
        self.token = settings.token
        self.host = settings.manage_host
        self.port = settings.management_port(service_name)
        self._server: _Server | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    def start(self) -> str:
        """Bind, serve in a thread, and return the URL.

        Raises:
            ConfigurationError: others can connect and there is no token, or the port can't be had.
        """
        if not self.is_loopback and not self.token:
            why = f"SAGAWORKS_MANAGE_HOST is {self.host}, where others can connect"
            raise ConfigurationError(f"{why}: set SAGAWORKS_TOKEN, or use 127.0.0.1")
        try:
            self._server = _Server(self)
        except OSError as error:
            place = f"{self.service_name}: can't listen on {self.host} port {self.port}"
            remedy = f"set {self.service_name.upper()}_MANAGE_PORT to a free port, or to 0"
            raise ConfigurationError(f"{place}: {error.strerror}; {remedy}") from error
        self._server.serve_in_thread()
        return f"http://{reachable(self.host)}:{self._server.server_address[1]}"

    def stop(self) -> None:
        """Stop serving; does nothing when it doesn't serve."""
        server, self._server = self._server, None
        if server:
            server.stop()


class _Answer(NamedTuple):
    status: HTTPStatus
    body: bytes
    kind: str = _JSON_TYPE


class _Server(socketserver.ThreadingTCPServer):
    """A bounded number of connections, each of them for a bounded time."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, management: Management) -> None:
        self.management = management
        self.address_family = socket.AF_INET6 if ":" in management.host else socket.AF_INET
        self._room = threading.BoundedSemaphore(_CONNECTIONS)
        self._reading: dict[socket.socket, float] = {}
        self._thread = threading.Thread(
            target=self.serve_forever, name="management", args=(_POLL_SECONDS,)
        )
        super().__init__((management.host, management.port), _Handler)

    def serve_in_thread(self) -> None:
        self._thread.daemon = True
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)  # noqa: S101  TCPServer's own promise
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        self._reading[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self.has_read(request)
            self._room.release()

    def has_read(self, request: object) -> None:
        """From here on the connection is ours, not the client's, to be slow with."""
        self._reading.pop(request, None)  # type: ignore[call-overload]

    def service_actions(self) -> None:
        """Cut off who sends too slowly: a timeout for each read alone can be dripped around."""
        latest = time.monotonic() - _READ_LIMIT.total_seconds()
        for request, began in list(self._reading.items()):
            if began < latest and self._reading.pop(request, 0.0):
                _cut(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no event; the handler logs what is ours."""


class _Handler(BaseHTTPRequestHandler):
    """One request a connection; GET and HEAD; JSON also for what goes wrong."""

    server: _Server
    timeout = _READ_LIMIT.total_seconds()

    def do_GET(self) -> None:
        self.server.has_read(self.request)
        self._send(self._answer())

    do_HEAD = do_GET  # noqa: N815  the name is http.server's

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what http.server itself refuses; an unknown method is "not allowed"."""
        del explain
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._send(_error(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are answered"))
        else:
            self._send(_error(HTTPStatus(code), message or HTTPStatus(code).phrase))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: a path holds a saga's key, and probes would fill the log."""

    def _answer(self) -> _Answer:
        management = self.server.management
        path = urlsplit(self.path).path
        try:
            if path in ("/live", "/ready"):
                return _health(path[1:], getattr(management, path[1:]))
            return self._refusal() or self._guarded(management, path)
        except Exception as error:  # noqa: BLE001  whatever it is, the client must not see it
            logger.opt(exception=error).error("management: {} failed", path.split("/")[1])
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "failed; the worker's log says why")

    def _guarded(self, management: Management, path: str) -> _Answer:
        area, _, name = path[1:].partition("/")
        if area == "metrics" and not name:
            return _Answer(HTTPStatus.OK, generate_latest(management.registry), CONTENT_TYPE_LATEST)
        if area == "ledger" and name:
            return _ledger(management, _decoded(name))
        if area == "queries" and name:
            return _query(management, _decoded(name), urlsplit(self.path).query)
        return _error(HTTPStatus.NOT_FOUND, "no such page", pages=_PAGES)

    def _refusal(self) -> _Answer | None:
        management = self.server.management
        if management.token:
            given = self.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(given, f"Bearer {management.token}".encode()):
                return _error(HTTPStatus.UNAUTHORIZED, "wants `Authorization: Bearer <token>`")
        elif not is_loopback(urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""):
            # A web page can point a name of its own at 127.0.0.1 and read what a browser gets.
            return _error(HTTPStatus.FORBIDDEN, "wants a loopback name in `Host`")
        return None

    def _send(self, answer: _Answer) -> None:
        self.close_connection = True
        self.send_response_only(answer.status)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


_PAGES: Final = ("/live", "/ready", "/metrics", "/ledger/KEY", "/queries/NAME")
_HEADERS: Final = {
    "Connection": "close",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def _health(what: str, check: Callable[[], list[str]]) -> _Answer:
    reasons = check()
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    return _json(status, {what: not reasons, "reasons": reasons})


def _ledger(management: Management, key: str | None) -> _Answer:
    if key is None:
        return _error(HTTPStatus.BAD_REQUEST, "the key isn't URL-encoded UTF-8")
    try:
        entries = [*management.ledger(key)]
    except SagaworksError as error:
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    found = {"service": management.service_name, "saga_key": key, "entries": entries}
    return _json(HTTPStatus.OK, found)


def _query(management: Management, name: str | None, text: str) -> _Answer:
    query = management.queries.get(name or "")
    if query is None:
        return _error(HTTPStatus.NOT_FOUND, "no such query", queries=sorted(management.queries))
    try:
        return _json(HTTPStatus.OK, query(_parameters(text)))
    except SagaworksError as error:
        return _error(HTTPStatus.BAD_REQUEST, str(error))


def _parameters(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict"
        )
    except ValueError:
        raise SagaworksError("the parameters aren't URL-encoded UTF-8, or too many") from None
    if len(dict(pairs)) < len(pairs):
        raise SagaworksError("a parameter is given twice")
    return dict(pairs)


def _decoded(part: str) -> str | None:
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        return None


def _error(status: HTTPStatus, why: str, **more: Sequence[str]) -> _Answer:
    return _json(status, {"error": why, **more})


def _json(status: HTTPStatus, value: object) -> _Answer:
    return _Answer(status, json.dumps(to_json(value), ensure_ascii=False).encode() + b"\n")


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
