"""A small receiver in the test's process for what the engine's shipped exporter sends.

The exporter `io.camunda.zeebe.exporter.ElasticsearchExporter` speaks plain HTTP bulk and doesn't
ask who answers.
"""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

EXPORTER: Final = "io.camunda.zeebe.exporter.ElasticsearchExporter"

_KINDS: Final = (
    "process",
    "processInstance",
    "job",
    "jobBatch",
    "incident",
    "variable",
    "timer",
    "message",
    "compensationSubscription",
)


def exporter_settings(url: str) -> dict[str, object]:
    """Return the broker's settings that send records to a receiver at `url`, each at once."""
    prefix = "zeebe.broker.exporters.sagaworks"
    kinds = {f"{prefix}.args.index.{kind}": "true" for kind in _KINDS}
    return {
        f"{prefix}.className": EXPORTER,
        f"{prefix}.args.url": url,
        f"{prefix}.args.bulk.delay": 1,
        f"{prefix}.args.bulk.size": 1,
        **kinds,
    }


class Receiver:
    """Takes records for whoever listens at the moment; none listening, they are dropped.

    Args:
        port: 0 for a free one.
    """

    def __init__(self, port: int = 0) -> None:
        """Listen on loopback.

        Raises:
            OSError: the port is taken.
        """
        self.take: Callable[[dict[str, Any]], None] | None = None
        self.received = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="records", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the exporter sends to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _bulk(self, body: bytes) -> dict[str, Any]:
        lines = body.split(b"\n")
        records = [json.loads(line) for line in lines[1::2] if line]
        for record in records:
            self.received += 1
            if self.take:
                self.take(record)
        created = {"index": {"status": 201}}
        return {"took": 1, "errors": False, "items": [created] * len(records)}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            """Answers as a store for records would."""

            protocol_version = "HTTP/1.1"
            # An answer in two pieces would wait 40 ms for the acknowledgement of the first.
            wbufsize = -1
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def answer(self) -> None:
                body = self.body()
                is_bulk = "_bulk" in self.path
                said = receiver._bulk(body) if is_bulk else {"acknowledged": True}
                text = json.dumps(said).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("X-Elastic-Product", "Elasticsearch")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def body(self) -> bytes:
                chunked = self.headers.get("Transfer-Encoding") == "chunked"
                length = int(self.headers.get("Content-Length") or 0)
                body = b"".join(self.chunks()) if chunked else self.rfile.read(length)
                is_zipped = self.headers.get("Content-Encoding") == "gzip"
                return gzip.decompress(body) if is_zipped else body

            def chunks(self) -> list[bytes]:
                found = []
                while size := int(self.rfile.readline(), 16):
                    found.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return found

            do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815  the server's names

        return Handler
