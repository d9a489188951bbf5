"""The engine that runs in a data folder: what it says of itself, and its end."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagaworks.engine import supervisor
from sagaworks.engine.launch import GRACE_SECONDS
from sagaworks.engine.locks import is_held
from sagaworks.engine.places import Home
from sagaworks.errors import EngineError

# A loaded machine has been seen to take 35 s.
READY_SECONDS = 180.0
POLL_SECONDS = 0.05
_WRITTEN_SECONDS = 5.0


@dataclass(frozen=True)
class Engine:
    """An engine that runs: our own, or the cluster at ZEEBE_ADDRESS (then without process)."""

    address: str
    version: str
    monitoring: str | None = None
    pid: int | None = None
    supervisor_pid: int | None = None
    java: str | None = None
    ready: bool = True
    ready_seconds: float | None = None
    """From the start of Java to readiness."""
    found: bool = False
    """It ran already when `up` was called."""
    start_cache: bool = False
    """It was started with one."""
    attached: bool = False
    """It ends with the process that started it."""
    restarts: int = 0
    """How often it has been brought back since `up`."""
    history: str | None = None
    """Where `sagaworks history` answers that was started with it."""
    loopback_only: bool = True
    """False if one UDP port could not be tied to loopback: see `supervisor.keep_to_loopback`."""
    log: Path | None = None


def running(home: Home) -> Engine | None:
    """Return what the running supervisor says; None if there is none, whatever files lie around."""
    if not is_held(home.running_lock):
        return None
    said = _read_when_written(home)
    names = {field.name for field in dataclasses.fields(Engine)} - {"found", "log"}
    values = {name: value for name, value in said.items() if name in names}
    return Engine(**values, found=True, log=home.engine_log) if values else None


def running_ready(home: Home) -> Engine | None:
    """Return the engine that runs here, once it's ready.

    Raises:
        EngineError: it never becomes ready.
    """
    deadline = time.monotonic() + READY_SECONDS
    while (found := running(home)) and not found.ready:
        if time.monotonic() > deadline:
            late = f"the engine (process {found.pid}) is not ready after {READY_SECONDS:.0f} s"
            raise EngineError(f"{late}: see {home.engine_log}, or `sagaworks engine down`")
        time.sleep(POLL_SECONDS)
    return found


def read(home: Home) -> dict[str, Any]:
    """Return what the engine's file says; empty if it's missing or damaged."""
    try:
        said = json.loads(home.engine_file.read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def stop(home: Home) -> None:
    """Ask the supervisor to end, wait for it, and insist if it doesn't.

    Raises:
        EngineError: even that didn't end it.
    """
    said = _read_when_written(home)
    _signal_supervisor(said, signal.SIGTERM)
    if not _has_ended(home, GRACE_SECONDS + supervisor.KILL_SECONDS):
        _signal_supervisor(said, signal.SIGKILL)  # the kernel then kills its Java
        if not _has_ended(home, supervisor.KILL_SECONDS):
            raise EngineError(f"the engine of {home.folder} does not end: see {home.logs}")
    home.engine_file.unlink(missing_ok=True)
    _await_gone(said)


def _read_when_written(home: Home) -> dict[str, Any]:
    """A supervisor just started has the lock already, but hasn't said who it is."""
    deadline = time.monotonic() + _WRITTEN_SECONDS
    while not (said := read(home)) and is_held(home.running_lock) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return said


def _has_ended(home: Home, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_held(home.running_lock):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _await_gone(said: dict[str, Any]) -> None:
    """The lock is let go of an instant before its holder leaves the list of processes."""
    pid, started = said.get("supervisor_pid"), said.get("supervisor_started")
    deadline = time.monotonic() + supervisor.KILL_SECONDS
    while isinstance(pid, int) and started and supervisor.started_at(pid) == started:
        if time.monotonic() > deadline:
            return
        time.sleep(POLL_SECONDS)


def _signal_supervisor(said: dict[str, Any], number: signal.Signals) -> None:
    """Send it to the very process that wrote the file, never to one that got its number since."""
    pid = said.get("supervisor_pid")
    if not isinstance(pid, int):
        return
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            if supervisor.started_at(pid) == said.get("supervisor_started"):
                signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)
