"""Starting an engine: a supervisor of its own, awaited until the engine is ready."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

from sagaworks.engine import logs, supervisor
from sagaworks.engine.distribution import Note
from sagaworks.engine.java import check_room, clean_environment
from sagaworks.engine.launch import PASSWORD, USERNAME, Launch
from sagaworks.engine.locks import is_held, open_lock, take
from sagaworks.engine.places import Home
from sagaworks.engine.ports import Ports, reserved_ports
from sagaworks.engine.running import POLL_SECONDS, READY_SECONDS, Engine, running, stop
from sagaworks.engine.startcache import StartCache
from sagaworks.errors import EngineError
from sagaworks.settings import Settings

# The engine stops working below 512 MB free; a segment of its log is 128 MB.
_ROOM_BYTES = 1_000_000_000
_LOG_LINES_SHOWN = 10
_LOCK_SECONDS = 2.0

# Write ends of pipes to supervisors that die with this process: open for as long as it lives.
_tethers: list[int] = []


def start(  # noqa: PLR0913  the flags are `up`'s
    home: Home,
    cache: StartCache,
    usual: Ports,
    note: Note,
    *,
    attached: bool,
    quick: bool,
    history: Mapping[str, str] | None,
    more_settings: Mapping[str, object],
) -> Engine:
    """Start the engine and return once it's ready; the caller holds the starting lock.

    Args:
        home: the engine's folder.
        cache: which engine, with which Java; need not be there.
        usual: where to begin looking for free ports.
        note: told what a person may want to know.
        attached: it ends with this process.
        quick: ready sooner, slower once warm.
        history: the environment of the history beside it; None for none.
        more_settings: the engine's own.

    Raises:
        EngineError: no room, no ports, or it didn't become ready: says why.
    """
    _make_folders(home)
    ended = logs.size(home.supervisor_log)
    with _running_lock(home) as lock, _ports(usual, history) as (ports, held):
        _tell_ports(usual, ports, note)
        launch = Launch(
            cache.java,
            cache.distribution,
            ports,
            home,
            quick=quick,
            attached=attached,
            history=history is not None,
            more_settings=more_settings,
        )
        home.launch_file.write_text(json.dumps(launch.for_supervisor(cache), indent=2))
        _spawn(home, [lock, held], history, attached=attached)
    try:
        return _await(home, ended, note)
    except KeyboardInterrupt:  # nobody has got the engine yet, so nobody would stop it
        stop(home)
        raise


def history_environment(settings: Settings) -> dict[str, str]:
    """Return what the history beside an engine is told: its database, its token, how to log."""
    token = {"SAGAWORKS_TOKEN": settings.token, USERNAME: "sagaworks", PASSWORD: settings.token}
    return {
        "SAGAWORKS_DATA": str(settings.data.absolute()),
        "HISTORY_DATABASE_URL": settings.database_url("history"),
        "SAGAWORKS_LOG_FORMAT": settings.log_format,
        "SAGAWORKS_LOG_LEVEL": settings.log_level,
        **{name: value for name, value in token.items() if value and settings.token},
        # So that it finds what this process has found.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }


def _ports(
    usual: Ports, history: Mapping[str, str] | None
) -> contextlib.AbstractContextManager[tuple[Ports, int]]:
    return reserved_ports(usual, history=history is not None)


def _make_folders(home: Home) -> None:
    try:
        home.logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"{home.logs}: {error.strerror}; SAGAWORKS_DATA names another") from error
    home.engine_file.unlink(missing_ok=True)  # of one that was killed
    check_room(home.folder, _ROOM_BYTES, "the engine's data", "SAGAWORKS_DATA")
    logs.shorten(home.supervisor_log)
    logs.shorten(home.history_log)


@contextlib.contextmanager
def _running_lock(home: Home) -> Iterator[int]:
    """Take the lock that the supervisor inherits; someone who only asks has it for an instant."""
    fd = open_lock(home.running_lock)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not take(fd):
            if time.monotonic() > deadline:
                raise EngineError(f"the engine of {home.folder} is just being stopped: try again")
            time.sleep(POLL_SECONDS)
        yield fd
    finally:
        os.close(fd)


def _tell_ports(usual: Ports, ports: Ports, note: Note) -> None:
    if ports != usual:
        taken = ", ".join(str(port) for port in usual.taken()) or "of another engine"
        note(f"usual ports taken ({taken}): the engine listens on 127.0.0.1:{ports.gateway}")


def _spawn(
    home: Home, locks: list[int], history: Mapping[str, str] | None, *, attached: bool
) -> None:
    """Start the supervisor, which inherits the locks and detaches itself."""
    tether = [_new_tether()] if attached else []
    with home.supervisor_log.open("ab") as log:
        subprocess.run(
            # -I: neither this folder nor PYTHON* variables change what it imports.
            [sys.executable, "-I", supervisor.__file__, str(home.launch_file), *map(str, tether)],
            cwd=home.folder,
            env=None if history is None else {**clean_environment(), **history},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[*locks, *tether],
            check=False,
        )
    for fd in tether:
        os.close(fd)


def _new_tether() -> int:
    """Make a pipe whose other end closes when this process ends, however it ends."""
    reading, writing = os.pipe()
    _tethers.append(writing)
    return reading


def _await(home: Home, log_began: int, note: Note) -> Engine:
    """Wait until it's ready, or say why it isn't."""
    deadline = time.monotonic() + READY_SECONDS
    while is_held(home.running_lock):
        said = running(home)
        if said and said.ready:
            _tell_exposure(said, note)
            return dataclasses.replace(said, found=False)
        if time.monotonic() > deadline:
            stop(home)
            break
        time.sleep(POLL_SECONDS)
    raise _failure(home, log_began, note)


def _failure(home: Home, log_began: int, note: Note) -> EngineError:
    """Say why in one line; the last lines of the logs go to `note`."""
    lines = logs.since(home.supervisor_log, log_began)
    lines += logs.tail(home.engine_log, _LOG_LINES_SHOWN)
    for line in lines[-_LOG_LINES_SHOWN:]:
        note(line)
    return EngineError(f"the engine did not start: {logs.telling(lines)}; see {home.logs}")


def _tell_exposure(engine: Engine, note: Note) -> None:
    if not engine.loopback_only:
        port = int(engine.address.rpartition(":")[2]) + 2
        note(f"UDP port {port} (the engine's gossip) can't be tied to loopback: use a firewall")
