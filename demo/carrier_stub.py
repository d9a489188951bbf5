"""A simulated carrier, standing in for another company's HTTP interface: nothing is ever delivered.

It behaves as good partners do: it remembers idempotency keys and answers a repeated call as it did
the first time. And as real ones do: now and then it answers 503, half of these times after it has
done what was asked.

    POST   /parcels {"address": …}  201 {"parcel": "P-000001"}, 422 nobody lives there
    DELETE /parcels/P-000001        200, 404 no such parcel, 409 cancelled already
    GET    /parcels                 200, its books
"""

import argparse
import json
import os
import signal
import sys
import threading
import zlib
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

NOWHERE: Final = "nowhere"
"""The address that the carrier refuses."""

LONGEST_MEMORY: Final = 100_000
"""Idempotency keys remembered; the oldest is forgotten first."""

LONGEST_REQUEST: Final = 10_000
"""Bytes of a request that are read."""


class Answer(NamedTuple):
    """A status and a JSON body."""

    status: int
    body: dict[str, Any]


class Carrier:
    """What the carrier knows: its parcels, and the calls that it has answered.

    Args:
        seed: decides which calls meet a busy carrier.
        busy: how many calls of a hundred are answered 503 the first time.
        journal: a file that brings the parcels back after a restart, or None.
    """

    def __init__(self, *, seed: int = 0, busy: int = 0, journal: Path | None = None) -> None:
        self.seed = seed
        self.busy = busy
        self.lock = threading.Lock()
        self.parcels: dict[str, bool] = {}
        self.answers: OrderedDict[str, tuple[str, Answer]] = OrderedDict()
        self.turned_away: OrderedDict[str, None] = OrderedDict()
        self.repeated = 0
        self.journal = self._reopen(journal) if journal else None

    def call(self, key: str, request: str, parcel: dict[str, Any] | None = None) -> Answer:
        """Answer ``POST /parcels`` or ``DELETE /parcels/<number>``, once for each key."""
        with self.lock:
            if key in self.answers:
                return self._again(key, request, parcel)
            mood = zlib.crc32(f"{self.seed}:{key}".encode()) % 200
            busy = mood < 2 * self.busy and key not in self.turned_away
            if busy:
                _remember(self.turned_away, key, None)
            if busy and mood % 2:
                return Answer(503, {"reason": "busy"})
            answer = self._book(parcel or {}) if request == "POST /parcels" else self._drop(request)
            self._note(key, _fingerprint(request, parcel), answer)
            return Answer(503, {"reason": "busy"}) if busy else answer

    def books(self) -> dict[str, int]:
        """Return how many parcels are booked and cancelled, and how many calls came twice."""
        with self.lock:
            cancelled = sum(self.parcels.values())
            return {
                "booked": len(self.parcels),
                "cancelled": cancelled,
                "busy": len(self.turned_away),
                "repeated": self.repeated,
            }

    def close(self) -> None:
        """Close the journal."""
        if self.journal:
            self.journal.close()

    def _again(self, key: str, request: str, parcel: dict[str, Any] | None) -> Answer:
        self.repeated += 1
        fingerprint, answer = self.answers[key]
        if fingerprint != _fingerprint(request, parcel):
            return Answer(409, {"reason": "this key came with another request"})
        return answer

    def _book(self, parcel: dict[str, Any]) -> Answer:
        if parcel.get("address") == NOWHERE:
            return Answer(422, {"reason": "nobody lives there"})
        return Answer(201, {"parcel": f"P-{len(self.parcels) + 1:06}"})

    def _drop(self, request: str) -> Answer:
        number = request.rpartition("/")[2]
        if number not in self.parcels:
            return Answer(404, {"reason": "no such parcel"})
        if self.parcels[number]:
            return Answer(409, {"reason": "cancelled already"})
        return Answer(200, {"cancelled": number})

    def _note(self, key: str, fingerprint: str, answer: Answer) -> None:
        self._keep(key, fingerprint, answer)
        if self.journal:
            self.journal.write(json.dumps([key, fingerprint, *answer]) + "\n")
            self.journal.flush()

    def _keep(self, key: str, fingerprint: str, answer: Answer) -> None:
        _remember(self.answers, key, (fingerprint, answer))
        if answer.status == 201:  # noqa: PLR2004
            self.parcels[answer.body["parcel"]] = False
        elif answer.status == 200:  # noqa: PLR2004
            self.parcels[answer.body["cancelled"]] = True

    def _reopen(self, path: Path) -> Any:  # noqa: ANN401
        for line in path.read_text().splitlines() if path.exists() else []:
            key, fingerprint, status, body = json.loads(line)
            self._keep(key, fingerprint, Answer(status, body))
        return path.open("a")


class Server(ThreadingHTTPServer):
    """The carrier's port, on loopback only."""

    daemon_threads = True

    def __init__(self, carrier: Carrier, port: int = 0) -> None:
        self.carrier = carrier
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        """Where the carrier answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Show the books."""
        found = self.path == "/parcels"
        self._send(Answer(200, self.server.carrier.books()) if found else Answer(404, {}))

    def do_POST(self) -> None:
        """Book a parcel."""
        try:
            length = int(self.headers.get("Content-Length", "0"))
            parcel = json.loads(self.rfile.read(min(length, LONGEST_REQUEST)))
        except ValueError:
            parcel = None
        if self.path != "/parcels" or not isinstance(parcel, dict):
            self.close_connection = True
            self._send(Answer(400, {"reason": "POST a JSON object to /parcels"}))
        else:
            self._call("POST /parcels", parcel)

    def do_DELETE(self) -> None:
        """Cancel a parcel."""
        self._call(f"DELETE {unquote(self.path)}")

    def _call(self, request: str, parcel: dict[str, Any] | None = None) -> None:
        key = self.headers.get("Idempotency-Key")
        answer = Answer(400, {"reason": "no Idempotency-Key"})
        self._send(self.server.carrier.call(key, request, parcel) if key else answer)

    def _send(self, answer: Answer) -> None:
        body = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002
        """Log what was called and how it ended, not whom it is about."""
        self.log_message("%s %s", self.command, code)


def _fingerprint(request: str, parcel: dict[str, Any] | None) -> str:
    return f"{request} {json.dumps(parcel, sort_keys=True)}"


def _remember(memory: OrderedDict[str, Any], key: str, value: object) -> None:
    memory[key] = value
    if len(memory) > LONGEST_MEMORY:
        memory.popitem(last=False)


def main() -> None:
    """Serve until SIGTERM; tell where in the run file."""
    parser = argparse.ArgumentParser(description="A simulated carrier.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--busy", type=int, default=0, help="calls of a hundred answered 503 once")
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--run-file", type=Path)
    given = parser.parse_args()
    server = Server(Carrier(seed=given.seed, busy=given.busy, journal=given.journal), given.port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if given.run_file:
        written = given.run_file.with_suffix(".new")
        written.write_text(json.dumps({"pid": os.getpid(), "management_url": server.url}))
        written.replace(given.run_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
