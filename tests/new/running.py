"""`make run` of a new project: in a session of its own, until a Ctrl-C."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SERVES_WITHIN = 60.0
"""Seconds until both workers take jobs; the engine's start is in it."""


class Running:
    """The running command, and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def wait_for(self, *words: str) -> None:
        """Wait until all of these were said."""
        until = time.monotonic() + SERVES_WITHIN
        while not all(word in self.log.read_text() for word in words):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.1)


@contextmanager
def running(
    command: list[str], folder: Path, log: Path, env: Mapping[str, str]
) -> Iterator[Running]:
    """Run a command that stays; end it as Ctrl-C does."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Running(process, log)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(40)
