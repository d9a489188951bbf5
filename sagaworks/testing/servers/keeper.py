"""A server's keeper: a small process that runs it, and ends it when whoever started it is gone.

It is started by path (``python -I keeper.py FILE``) and imports the standard library only. Its
standard input is a pipe: a word on it means "stop", its end means that the starter is gone. The
server gets a signal from the kernel should the keeper itself be killed. So it outlives nobody.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TAKEN = 75  # exit code: another server still runs on the folder
_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)
_POLL_SECONDS = 0.05


def main(file: str) -> int:
    """Run the server that the file describes until told to stop; return the exit code."""
    told = json.loads(Path(file).read_text())
    wake_up = _listen()
    lock = os.open(told["lock"], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _take(lock, told["wait_seconds"]):
        return TAKEN
    server = _start(told, lock)
    gone = _watch(server, wake_up)
    code = _end(server, told)
    if gone and told["temporary"]:
        shutil.rmtree(told["folder"], ignore_errors=True)
    return code


def _listen() -> int:
    """Have signals wake us: an ended server, and SIGTERM, which is as good as a word."""
    wake_up, bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return wake_up


def _take(lock: int, seconds: float) -> bool:
    """Take the folder; a server that is still ending there has a moment to do so."""
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True


def _start(told: dict[str, Any], lock: int) -> subprocess.Popen[bytes]:
    """Start the server; it inherits the lock, which so is held until its last process is gone."""
    number = told["signal_if_orphaned"]
    with Path(told["log"]).open("ab") as log:
        return subprocess.Popen(
            told["command"],
            cwd="/",  # its account may not be allowed where we are
            env=told["environment"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
            pass_fds=(lock,),
            preexec_fn=lambda: _die_with_parent(number),  # noqa: PLW1509  one thread only
            **told["account"],
        )


def _die_with_parent(number: int) -> None:
    # After the change of user, which would forget it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, number)


def _watch(server: subprocess.Popen[bytes], wake_up: int) -> bool:
    """Return when the server has ended or shall end; True if whoever started it is gone."""
    while server.poll() is None:
        awake, _, _ = select.select([wake_up, sys.stdin.fileno()], [], [])
        if sys.stdin.fileno() in awake:
            return not os.read(sys.stdin.fileno(), 64)
        if signal.SIGTERM in os.read(wake_up, 4096):
            return False
    return False


def _end(server: subprocess.Popen[bytes], told: dict[str, Any]) -> int:
    """Ask the server to end, insist after its time of grace; its exit code."""
    if server.poll() is None:
        send_all(server.pid, signal.SIGCONT)  # a frozen one hears nothing
        server.send_signal(told["stop_signal"])
        with contextlib.suppress(subprocess.TimeoutExpired):
            return server.wait(told["grace_seconds"])
        send_all(server.pid, signal.SIGKILL)
    return server.wait()


def send_all(pid: int, number: int) -> None:
    """Send SIGSTOP, SIGCONT or SIGKILL to all processes of a server; none slips through.

    A process group doesn't do: each process of PostgreSQL is in one of its own.
    """
    _send(pid, signal.SIGSTOP)  # so that it starts no others meanwhile
    for child in [*descendants(pid), pid]:
        _send(child, number)


def descendants(pid: int) -> list[int]:
    """Return the process' children and theirs."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(entry.name)] = int(after_name[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
