"""Writing the start cache: an engine run on scratch data, for nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sagaworks.engine import supervisor
from sagaworks.engine.java import check_room, clean_environment
from sagaworks.engine.launch import Launch
from sagaworks.engine.locks import open_lock, take
from sagaworks.engine.places import Home
from sagaworks.engine.ports import Ports, reserved_ports
from sagaworks.engine.startcache import StartCache
from sagaworks.errors import EngineError

TIMEOUT_SECONDS = 600.0
_ROOM_BYTES = 700_000_000  # the cache, its draft, the scratch engine's log segment
# Away from the usual ports, which the user may want meanwhile.
_PORTS = Ports(27500, 19600, 18080)
_LEAST_PRIORITY = 19


@dataclass(frozen=True)
class Trained:
    """A start cache that has been written."""

    file: Path
    seconds: float


def train(cache: StartCache) -> Trained:
    """Run an engine on scratch data and have Java write the cache, about half a minute.

    Raises:
        EngineError: no room, another process is at it, it took too long, or Java wrote nothing.
    """
    began = time.monotonic()
    lock = open_lock(cache.folder / "train.lock")
    try:
        if not take(lock):
            raise EngineError("another process is writing the start cache: nothing to do")
        check_room(cache.folder, _ROOM_BYTES, "the start cache")
        _drop_waste(cache)
        with tempfile.TemporaryDirectory(prefix=".train-", dir=cache.folder) as scratch:
            _train_in(Path(scratch), cache, began + TIMEOUT_SECONDS)
    finally:
        os.close(lock)
    return Trained(cache.file, time.monotonic() - began)


def train_in_background(cache: StartCache) -> None:
    """Have a process of the lowest priority write the cache; returns at once."""
    program = "import sys; from sagaworks.engine import training; training.main(sys.argv[1])"
    subprocess.run(  # it detaches itself and returns
        [sys.executable, "-c", program, json.dumps(cache.to_json())],
        env=clean_environment() | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=False,
    )


def main(said: str) -> None:
    """Write the cache as a process that nobody waits for and nobody notices."""
    if os.fork():
        os._exit(0)
    _step_back()
    with contextlib.suppress(EngineError, OSError):
        train(StartCache.from_json(json.loads(said)))


def _step_back() -> None:
    """Take only what the machine has left over."""
    os.nice(_LEAST_PRIORITY)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    # Where sessions share the processors evenly, being nice inside one's own helps nobody.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_LEAST_PRIORITY))


def _drop_waste(cache: StartCache) -> None:
    for leftover in cache.folder.glob(".train-*"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    for old in cache.others():
        old.unlink(missing_ok=True)


def _train_in(scratch: Path, cache: StartCache, deadline: float) -> None:
    draft, home = scratch / "draft", Home(scratch)
    home.scratch.mkdir()
    with reserved_ports(_PORTS) as (ports, _):
        launch = Launch(cache.java, cache.distribution, ports, home)
        command = launch.command()
        command.insert(1, cache.writing_option(draft))
        _run_until_ready(command, launch, deadline)
    if not draft.exists():
        raise EngineError(f"{cache.java} wrote no start cache; the engine starts without one")
    draft.replace(cache.file)


def _run_until_ready(command: list[str], launch: Launch, deadline: float) -> None:
    """Start the engine, end it as soon as it's ready: Java writes the cache at its end."""
    said = {"folder": launch.home.folder, "environment": clean_environment()}
    with (launch.home.folder / "java.log").open("wb") as log:
        java = supervisor.start_java(command, said, log)
    try:
        _await_ready(java, launch.ports, deadline)
        java.terminate()
        java.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired as error:
        why = f"the start cache was not written within {TIMEOUT_SECONDS:.0f} s: given up"
        raise EngineError(why) from error
    finally:
        _end_group(java)


def _await_ready(java: subprocess.Popen[bytes], ports: Ports, deadline: float) -> None:
    closed = False
    while java.poll() is None and not supervisor.is_ready(ports.monitoring):
        closed = closed or supervisor.keep_to_loopback(java.pid, ports.cluster)
        if time.monotonic() > deadline:
            raise subprocess.TimeoutExpired(java.args, TIMEOUT_SECONDS)
        time.sleep(supervisor.POLL_SECONDS)
    if java.poll() is not None:
        raise EngineError(f"the engine ended while the start cache was written, code {java.poll()}")


def _end_group(java: subprocess.Popen[bytes]) -> None:
    """Java writes the cache in a child process of its own: what is left of either ends here."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(java.pid, signal.SIGKILL)
    java.wait(supervisor.KILL_SECONDS)
