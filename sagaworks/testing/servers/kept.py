"""One run of a server program under its keeper: started, stopped, killed, frozen."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sagaworks.testing.servers.account import Account
from sagaworks.testing.servers.errors import ServerError
from sagaworks.testing.servers.keeper import TAKEN, descendants, send_all

GRACE_SECONDS: Final = 20.0
"""From being asked to end to being killed."""

WAIT_SECONDS: Final = 30.0
"""How long a server may still be ending on a folder before another starts there."""

_MARGIN_SECONDS: Final = 10.0
_KEEPER: Final = str(Path(__file__).with_name("keeper.py"))


@dataclass(frozen=True)
class Launch:
    """What is run, as whom, on which folder.

    Attributes:
        stop_signal: asks it to end in order.
        signal_if_orphaned: from the kernel, should its keeper be killed.
        temporary: the folder goes when whoever started the server is gone.
    """

    folder: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    account: Account | None
    stop_signal: signal.Signals
    signal_if_orphaned: signal.Signals
    temporary: bool

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"


class Kept:
    """A server program that runs, or has run."""

    def __init__(self, launch: Launch) -> None:
        """Start it; it isn't ready yet."""
        self.launch = launch
        file = launch.folder / "launch.json"
        file.write_text(json.dumps(_told(launch)))
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", _KEEPER, str(file)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the terminal isn't for it
        )

    def check(self) -> None:
        """Return if it runs.

        Raises:
            ServerError: it has ended.
        """
        code = self._keeper.poll()
        if code == TAKEN:
            raise ServerError(f"another server runs on {self.launch.folder}; stop it first")
        if code is not None:
            raise ServerError(f"the server has ended (exit code {code}): see {self.launch.log}")

    def runs(self) -> bool:
        """Tell whether it hasn't ended."""
        return self._keeper.poll() is None

    def processes(self) -> list[int]:
        """The server's processes, its main one first; without the keeper."""
        return descendants(self._keeper.pid) if self.runs() else []

    def stop(self) -> None:
        """Have it end in order and wait for that."""
        if self._keeper.stdin and self.runs():
            with contextlib.suppress(BrokenPipeError):
                os.write(self._keeper.stdin.fileno(), b"stop\n")
        self._await_end()

    def kill(self) -> None:
        """End all its processes at once, as a crash would."""
        self._send(signal.SIGKILL)
        self._await_end()

    def freeze(self) -> None:
        """Let it hold its breath: connections stay open, nobody answers."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        for main in self.processes()[:1]:
            send_all(main, number)

    def _await_end(self) -> None:
        try:
            self._keeper.wait(GRACE_SECONDS + _MARGIN_SECONDS)
        except subprocess.TimeoutExpired:
            message = f"the server of {self.launch.folder} doesn't end: see {self.launch.log}"
            raise ServerError(message) from None
        finally:
            if self._keeper.stdin:
                self._keeper.stdin.close()


def _told(launch: Launch) -> dict[str, object]:
    """Return what the keeper reads; JSON-ready."""
    account = launch.account
    rights = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    return {
        "folder": str(launch.folder),
        "lock": str(launch.folder / "running.lock"),
        "log": str(launch.log),
        "command": list(launch.command),
        "environment": dict(launch.environment),
        "account": rights,
        "stop_signal": launch.stop_signal,
        "signal_if_orphaned": launch.signal_if_orphaned,
        "grace_seconds": GRACE_SECONDS,
        "wait_seconds": WAIT_SECONDS,
        "temporary": launch.temporary,
    }
