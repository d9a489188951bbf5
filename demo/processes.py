"""The processes that the demo starts: each with its own log, none left behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from demo.errors import DemoError

START_WITHIN: Final = 30.0
"""Seconds that a process may take until it is ready."""

LOG_LINES: Final = 12
"""Last lines of a log shown when its process has ended by itself."""

_TETHER: Final = str(Path(__file__).with_name("tether.py"))


@dataclass
class Child:
    """One started process and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    run_file: Path

    def url(self) -> str | None:
        """Where it answers, once it has said so in its run file."""
        try:
            told = json.loads(self.run_file.read_text())
        except (OSError, ValueError):
            return None
        return str(told["management_url"]) if told.get("pid") == self.process.pid else None

    def check(self) -> None:
        """Return if the process runs.

        Raises:
            DemoError: it has ended; with the last lines of its log.
        """
        code = self.process.poll()
        if code is None:
            return
        ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        raise DemoError(f"{self.name} has ended ({ended}); the end of {self.log}:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join(f"  {line}" for line in lines) or "  (empty)"


class Children:
    """The processes in the order they were started; stopped in the opposite order."""

    def __init__(self, folder: Path, environ: Mapping[str, str], cwd: Path) -> None:
        """Start nothing yet; logs go to `folder`/logs, run files come to `folder`/run."""
        self.logs = folder / "logs"
        self.run = folder / "run"
        self.environ = dict(environ)
        self.cwd = cwd
        self.children: list[Child] = []

    def start(self, name: str, *arguments: str, **environ: str) -> Child:
        """Start ``python <arguments>`` in a session of its own: a Ctrl-C reaches only the demo."""
        for path in (self.logs, self.run):
            path.mkdir(parents=True, exist_ok=True)
        run_file = self.run / f"{name}.json"
        run_file.unlink(missing_ok=True)
        log = self.logs / f"{name}.log"
        command = [sys.executable, "-S", "-E", _TETHER, str(os.getpid()), sys.executable]
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environ | environ,
                cwd=self.cwd,
                start_new_session=True,
            )
        child = Child(name, process, log, run_file)
        self.children.append(child)
        return child

    def await_all(self, is_ready: Callable[[Child], str | None]) -> None:
        """Wait until `is_ready` has nothing to object to any child.

        Raises:
            DemoError: a child has ended, or an objection has outlived `START_WITHIN`.
        """
        until = time.monotonic() + START_WITHIN
        for child in self.children:
            while (objection := is_ready(child)) is not None:
                child.check()
                if time.monotonic() > until:
                    message = f"{child.name} isn't ready after {START_WITHIN:.0f} s"
                    raise DemoError(f"{message}: {objection}; its log is {child.log}")
                time.sleep(0.05)

    def check(self) -> None:
        """Raise DemoError if one has ended."""
        for child in self.children:
            child.check()

    def stop(self, patience: float, last: str) -> list[str]:
        """Ask all to end and wait, the one named `last` after the others.

        Returns:
            Whoever hadn't ended after `patience` seconds and was killed.
        """
        killed = []
        for turn in (False, True):
            group = [child for child in self.children if (child.name == last) is turn]
            for child in group:
                _signal(child, signal.SIGTERM)
            killed += _await_end(group, patience)
        self.children.clear()
        return killed

    def kill(self) -> None:
        """End all of them at once."""
        for child in self.children:
            _signal(child, signal.SIGKILL)


def _await_end(group: list[Child], patience: float) -> list[str]:
    until, killed = time.monotonic() + patience, []
    for child in group:
        try:
            child.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            killed.append(child.name)
            _signal(child, signal.SIGKILL)
            child.process.wait()
    return killed


def _signal(child: Child, number: signal.Signals) -> None:
    if child.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, number)
