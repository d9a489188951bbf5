"""A simulated partner, standing in for another company's HTTP interface: nothing really happens.

It behaves as good partners do: it remembers idempotency keys and answers a repeated call as it did
the first time. And as real ones do: now and then it answers 503, half of these times after it has
done what was asked.

    POST   /parcels {"address": …}  201 {"parcel": "P-000001"}, 422 what its `why_not` says
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
from typing import Any, ClassVar, Final, NamedTuple
from urllib.parse import unquote

LONGEST_MEMORY: Final = 100_000
"""Idempotency keys remembered; the oldest is forgotten first."""

LONGEST_REQUEST: Final = 10_000
"""Bytes of a request that are read."""


class Answer(NamedTuple):
    """A status and a JSON body."""

    status: int
    body: dict[str, Any]


class Partner:
    """What the partner knows: the things booked with it, and the calls that it has answered.

    Args:
        seed: decides which calls meet a busy partner.
        busy: how many calls of a hundred are answered 503 the first time.
        journal: a file that brings the things back after a restart, or None.
    """

    thing: ClassVar[str]
    """What is booked: ``parcel``, at ``/parcels``, numbered from ``P-000001``."""

    def __init__(self, *, seed: int = 0, busy: int = 0, journal: Path | None = None) -> None:
        self.seed = seed
        self.busy = busy
        self.lock = threading.Lock()
        self.things: dict[str, bool] = {}
        self.answers: OrderedDict[str, tuple[str, Answer]] = OrderedDict()
        self.turned_away: OrderedDict[str, None] = OrderedDict()
        self.repeated = 0
        self.journal = self._reopen(journal) if journal else None

    @classmethod
    def path(cls) -> str:
        """Return where its things are: ``/parcels``."""
        return f"/{cls.thing}s"

    def why_not(self, asked: dict[str, Any]) -> str | None:
        """Say why it won't do what is asked, or None if it will."""
        raise NotImplementedError

    def call(self, key: str, request: str, asked: dict[str, Any] | None = None) -> Answer:
        """Answer ``POST /parcels`` or ``DELETE /parcels/<number>``, once for each key."""
        with self.lock:
            if key in self.answers:
                return self._again(key, request, asked)
            mood = zlib.crc32(f"{self.seed}:{key}".encode()) % 200
            busy = mood < 2 * self.busy and key not in self.turned_away
            if busy:
                _remember(self.turned_away, key, None)
            if busy and mood % 2:
                return Answer(503, {"reason": "busy"})
            books = request == f"POST {self.path()}"
            answer = self._book(asked or {}) if books else self._drop(request)
            self._note(key, _fingerprint(request, asked), answer)
            return Answer(503, {"reason": "busy"}) if busy else answer

    def books(self) -> dict[str, int]:
        """Return how many things are booked and cancelled, and how many calls came twice."""
        with self.lock:
            cancelled = sum(self.things.values())
            return {
                "booked": len(self.things),
                "cancelled": cancelled,
                "busy": len(self.turned_away),
                "repeated": self.repeated,
            }

    def close(self) -> None:
        """Close the journal."""
        if self.journal:
            self.journal.close()

    def _again(self, key: str, request: str, asked: dict[str, Any] | None) -> Answer:
        self.repeated += 1
        fingerprint, answer = self.answers[key]
        if fingerprint != _fingerprint(request, asked):
            return Answer(409, {"reason": "this key came with another request"})
        return answer

    def _book(self, asked: dict[str, Any]) -> Answer:
        if why := self.why_not(asked):
            return Answer(422, {"reason": why})
        return Answer(201, {self.thing: f"{self.thing[0].upper()}-{len(self.things) + 1:06}"})

    def _drop(self, request: str) -> Answer:
        number = request.rpartition("/")[2]
        if number not in self.things:
            return Answer(404, {"reason": f"no such {self.thing}"})
        if self.things[number]:
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
            self.things[answer.body[self.thing]] = False
        elif answer.status == 200:  # noqa: PLR2004
            self.things[answer.body["cancelled"]] = True

    def _reopen(self, path: Path) -> Any:  # noqa: ANN401
        for line in path.read_text().splitlines() if path.exists() else []:
            key, fingerprint, status, body = json.loads(line)
            self._keep(key, fingerprint, Answer(status, body))
        return path.open("a")


class Server(ThreadingHTTPServer):
    """The partner's port, on loopback only."""

    daemon_threads = True

    def __init__(self, partner: Partner, port: int = 0) -> None:
        self.partner = partner
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        """Where the partner answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Show the books."""
        partner = self.server.partner
        found = self.path == partner.path()
        self._send(Answer(200, partner.books()) if found else Answer(404, {}))

    def do_POST(self) -> None:
        """Book a thing."""
        place = self.server.partner.path()
        try:
            length = int(self.headers.get("Content-Length", "0"))
            asked = json.loads(self.rfile.read(min(length, LONGEST_REQUEST)))
        except ValueError:
            asked = None
        if self.path != place or not isinstance(asked, dict):
            self.close_connection = True
            self._send(Answer(400, {"reason": f"POST a JSON object to {place}"}))
        else:
            self._call(f"POST {place}", asked)

    def do_DELETE(self) -> None:
        """Cancel a thing."""
        self._call(f"DELETE {unquote(self.path)}")

    def _call(self, request: str, asked: dict[str, Any] | None = None) -> None:
        key = self.headers.get("Idempotency-Key")
        answer = Answer(400, {"reason": "no Idempotency-Key"})
        self._send(self.server.partner.call(key, request, asked) if key else answer)

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


def _fingerprint(request: str, asked: dict[str, Any] | None) -> str:
    return f"{request} {json.dumps(asked, sort_keys=True)}"


def _remember(memory: OrderedDict[str, Any], key: str, value: object) -> None:
    memory[key] = value
    if len(memory) > LONGEST_MEMORY:
        memory.popitem(last=False)


def serve(kind: type[Partner]) -> None:
    """Serve until SIGTERM; tell where in the run file."""
    parser = argparse.ArgumentParser(description=f"A simulated partner that knows {kind.thing}s.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--busy", type=int, default=0, help="calls of a hundred answered 503 once")
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--run-file", type=Path)
    given = parser.parse_args()
    server = Server(kind(seed=given.seed, busy=given.busy, journal=given.journal), given.port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if given.run_file:
        written = given.run_file.with_suffix(".new")
        written.write_text(json.dumps({"pid": os.getpid(), "management_url": server.url}))
        written.replace(given.run_file)
    server.serve_forever()
