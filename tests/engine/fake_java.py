"""Stands in for Java and the engine: answers the readiness probe, ends at SIGTERM."""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

home = Path(sys.argv[0]).resolve().parent.parent
arguments = sys.argv[1:]
if "-version" in arguments:
    release = (home / "release").read_text().split('"')[1]
    sys.stderr.write(f'openjdk version "{release}" 2026-01-01\n')
    sys.stderr.write(f"OpenJDK Runtime Environment Fake-{release}+1 (build {release}+1)\n")
    sys.exit(0)

with (home / "starts").open("a") as log:
    log.write(json.dumps(arguments) + "\n")
file = home / "behaviour.json"
behaviour = json.loads(file.read_text()) if file.exists() else {}


def value(prefix: str) -> str:
    return next((a.removeprefix(prefix) for a in arguments if a.startswith(prefix)), "")


if behaviour.get("refuses_cache") and value("-XX:AOTCache="):
    sys.stdout.write("[error][aot] An error has occurred while processing the AOT cache.\n")
    sys.exit(1)
if "dies_saying" in behaviour:
    sys.stdout.write(behaviour["dies_saying"] + "\n")
    sys.exit(7)


class Probe(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if behaviour.get("never_ready") else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def end(*_: object) -> None:
    if draft := value("-XX:AOTCacheOutput="):
        Path(draft).write_text("a start cache")
    if not behaviour.get("ignores_term"):
        os._exit(143)


signal.signal(signal.SIGTERM, end)
server = HTTPServer(("127.0.0.1", int(value("-Dmanagement.server.port="))), Probe)
threading.Thread(target=server.serve_forever, daemon=True).start()
threading.Event().wait()
