"""A small HTTP server: it keeps connections, not too many; a request is whole in memory.

Whether a body is read at all is decided by what comes before it.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import zlib
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from loguru import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from email.message import Message

_CONNECTIONS: Final = 64
"""Each has a thread: an exporter a broker, and a few from each worker. One more is closed."""

_IDLE_SECONDS: Final = 60.0
"""A connection on which nothing comes for so long is closed, also amid a request."""

_LARGEST: Final = 64 * 2**20
"""Bytes of a request, unpacked; the exporter sends 10 MB at most, as it's shipped."""

_POLL_SECONDS: Final = 0.1
_LAST_ANSWERS_WITHIN: Final = 5.0
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """A request, its body whole and unpacked; empty where that isn't read yet.

    Attributes:
        path: without the query.
        headers: found by any capitals.
    """

    method: str
    path: str
    query: str
    headers: Message
    body: bytes


class Answer(NamedTuple):
    """What is sent back."""

    status: HTTPStatus
    body: bytes
    kind: str = _JSON
    more: Mapping[str, str] = {}


def in_json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """Answer with JSON."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode())


def refuse(status: HTTPStatus, why: str) -> Answer:
    """Answer with the reason for a refusal."""
    return in_json({"error": why}, status)


Answered = TypeVar("Answered", Answer, Answer | None)


class WebServer(socketserver.ThreadingTCPServer):
    """Serves in threads of its own, from the start until `close`.

    Args:
        host: a name or an address.
        port: 0 for a free one.
        answer: called on the connection's thread.
        at_once: called with each request before its body is read; what it returns is the answer,
            and the body is never read.

    Raises:
        OSError: it can't listen there.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self,
        host: str,
        port: int,
        answer: Callable[[Request], Answer],
        at_once: Callable[[Request], Answer | None] = lambda _: None,
    ) -> None:
        """Listen, and serve."""
        self.answer = answer
        self.at_once = at_once
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._room = threading.BoundedSemaphore(_CONNECTIONS)
        self._open: set[object] = set()
        self._changed = threading.Condition()
        super().__init__((host, port), _Handler)
        self.port: int = self.server_address[1]
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), name="web", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Listen no more; requests that are being answered get their answer. Again: nothing."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._changed:
            for connection in self._open:
                _stop_reading(connection)
            self._changed.wait_for(lambda: not self._open, _LAST_ANSWERS_WITHIN)

    def process_request(self, request: object, client_address: object) -> None:
        """Serve a connection, if there is room."""
        assert isinstance(request, socket.socket)  # noqa: S101  TCPServer's own promise
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Serve it to its end."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._room.release()
            with self._changed:
                self._open.discard(request)
                self._changed.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that went away is no event."""


class _TooLargeError(Exception):
    """More than a request may have."""


class _Handler(BaseHTTPRequestHandler):
    server: WebServer
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    # An answer in two pieces would wait 40 ms for the acknowledgement of the first.
    wbufsize = -1
    disable_nagle_algorithm = True

    def serve(self) -> None:
        if (answer := self._by(self.server.at_once, b"")) is not None:
            # What comes of a body would be read as the next request.
            self.close_connection |= answer.status >= HTTPStatus.BAD_REQUEST or self._has_body()
            self._send(answer)
            return
        try:
            body = self._body()
        except _TooLargeError:
            self.close_connection = True
            answer = refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {_LARGEST} bytes")
        except (ValueError, zlib.error):
            self.close_connection = True
            answer = refuse(HTTPStatus.BAD_REQUEST, "the body can't be read")
        else:
            answer = self._by(self.server.answer, body)
        self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = serve  # noqa: N815  the names are http.server's

    def handle_expect_100(self) -> bool:
        """Ask for no body before it is wanted."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        del explain
        self.close_connection = True
        status = HTTPStatus(code)
        self._send(refuse(status, message or status.phrase))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: a path may hold a saga's key."""

    def _by(self, answer: Callable[[Request], Answered], body: bytes) -> Answered | Answer:
        path, _, query = self.path.partition("?")
        try:
            return answer(Request(self.command, path, query, self.headers, body))
        except Exception as error:  # noqa: BLE001  whatever it is, the client must not see it
            logger.opt(exception=error).error("history: a request failed")
            return refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "failed; history's log says why")

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="history"')
        # The exporter's client refuses an answer that doesn't say so.
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.more.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _has_body(self) -> bool:
        return self._is_chunked() or self.headers.get("Content-Length", "0") != "0"

    def _is_chunked(self) -> bool:
        return self.headers.get("Transfer-Encoding", "").lower() == "chunked"

    def _body(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        _refuse_more(length)
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
            self.wfile.flush()
        body = b"".join(self._chunks()) if self._is_chunked() else self.rfile.read(length)
        return _unzip(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _chunks(self) -> Iterator[bytes]:
        whole = 0
        while size := int(self.rfile.readline(100).partition(b";")[0], 16):
            whole += size
            _refuse_more(whole)
            yield self.rfile.read(size)
            self.rfile.readline(100)
        while self.rfile.readline(10_000).strip():  # trailers
            pass


def _refuse_more(size: int) -> None:
    if not 0 <= size <= _LARGEST:
        raise _TooLargeError


def _unzip(body: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=31)
    found = unpacking.decompress(body, _LARGEST)
    if unpacking.unconsumed_tail:
        raise _TooLargeError
    return found


def _stop_reading(connection: object) -> None:
    """Let a thread that waits for the next request find the end of it."""
    assert isinstance(connection, socket.socket)  # noqa: S101  TCPServer's own promise
    try:
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        return
