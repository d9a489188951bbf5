"""The engine of a data folder: up, down, what runs, and its start cache."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sagaworks.engine import cluster, supervisor
from sagaworks.engine.distribution import Note, Progress, distribution
from sagaworks.engine.java import Java, find_java
from sagaworks.engine.locks import exclusive
from sagaworks.engine.places import Home
from sagaworks.engine.ports import Ports
from sagaworks.engine.running import Engine, running, running_ready, stop
from sagaworks.engine.startcache import StartCache
from sagaworks.engine.starting import history_environment, start
from sagaworks.engine.training import Trained, train, train_in_background
from sagaworks.errors import EngineError
from sagaworks.settings import Settings


@dataclass(frozen=True)
class Stopped:
    """An engine that was stopped by `down`."""

    pid: int | None
    seconds: float
    training: bool
    """The start cache is being written in the background."""


def up(  # noqa: PLR0913  all but the first are rarely given
    settings: Settings,
    *,
    progress: Progress | None = None,
    on_note: Note | None = None,
    attached: bool = False,
    quick: bool = False,
    history: bool = False,
    java: Java | None = None,
    ports: Ports | None = None,
    more_settings: Mapping[str, object] | None = None,
) -> Engine:
    """Have an engine: the one at ZEEBE_ADDRESS, the one that runs here already, else a new one.

    Returns when it's ready to work.

    Args:
        settings: their data folder is the engine's too: another folder, another engine.
        progress: told bytes fetched and bytes to fetch, while the engine is downloaded.
        on_note: told, a line at a time, what a person may want to know.
        attached: a new engine ends when this process does, however it ends.
        quick: ready sooner, slower once warm; for tests and demos.
        history: what the engine does is kept by `sagaworks history`, beside a new engine.
        java: the Java to take, instead of looking for one.
        ports: where to begin looking for free ports, instead of Zeebe's usual ones.
        more_settings: the engine's own, such as ``zeebe.clock.controlled``; for a new engine only.

    Raises:
        ConfigurationError: no Java, or a package of the extra `engine` is missing.
        EngineError: it can't be fetched or started; says why and what to do.
    """
    note = on_note or (lambda _: None)
    if settings.zeebe_address:
        return _foreign(settings)
    _demand_linux()
    home = Home.of(settings)
    found = running_ready(home)
    if found is None:
        fetched = distribution(settings.engine_cache, settings.engine_version, progress, note)
        java = java or find_java(settings.engine_cache)
        cache = StartCache.of(settings.engine_cache, java, fetched)
        with exclusive(home.starting_lock, lambda: note("another process starts the engine")):
            found = running_ready(home) or start(
                home,
                cache,
                ports or Ports(),
                note,
                attached=attached,
                quick=quick,
                history=history_environment(settings) if history else None,
                more_settings=more_settings or {},
            )
    if found.found:
        _tell_differences(found, settings, note)
        if history and not found.history:
            note("the engine that runs has no history: `sagaworks engine down`, then up, adds it")
    return found


def down(settings: Settings, *, train: bool = True) -> Stopped | None:
    """Stop the engine of the data folder and wait for its end; None if none runs.

    With `train`, its start cache is then written in the background if there is none yet.

    Raises:
        EngineError: ZEEBE_ADDRESS names a cluster, or the engine doesn't end.
    """
    if settings.zeebe_address:
        raise EngineError(
            f"ZEEBE_ADDRESS names the cluster at {settings.zeebe_address}, which is not ours to "
            "stop; unset ZEEBE_ADDRESS to stop the local engine"
        )
    home, began = Home.of(settings), time.monotonic()
    found = running(home)
    if found is None:
        return None
    stop(home)
    seconds = time.monotonic() - began
    return Stopped(found.pid, seconds, train and _train_if_missing(home))


def status(settings: Settings) -> Engine | None:
    """Tell what runs; None if nothing does. `Engine.ready` is asked anew.

    Raises:
        EngineError: the cluster at ZEEBE_ADDRESS does not answer.
    """
    if settings.zeebe_address:
        return _foreign(settings)
    found = running(Home.of(settings))
    if found is None or found.monitoring is None:
        return found
    port = int(found.monitoring.rpartition(":")[2])
    return dataclasses.replace(found, ready=found.ready and supervisor.is_ready(port))


def warm(
    settings: Settings,
    *,
    progress: Progress | None = None,
    on_note: Note | None = None,
    java: Java | None = None,
) -> Trained:
    """Write the start cache now, in the foreground, in place of the one there is.

    Raises:
        ConfigurationError: no Java, or a package of the extra `engine` is missing.
        EngineError: no engine to run, no room, another process is at it.
    """
    _demand_linux()
    fetched = distribution(settings.engine_cache, settings.engine_version, progress, on_note)
    java = java or find_java(settings.engine_cache)
    return train(StartCache.of(settings.engine_cache, java, fetched))


def _tell_differences(found: Engine, settings: Settings, note: Note) -> None:
    if found.version != settings.engine_version:
        note(f"the engine that runs is {found.version}, not {settings.engine_version}")
    if found.attached:
        note("the engine that runs belongs to another process, and ends with it")


def _demand_linux() -> None:
    if sys.platform != "linux":
        raise EngineError(
            f"an engine of our own runs on Linux only, this is {sys.platform}: run one in a "
            "container and set ZEEBE_ADDRESS"
        )


def _foreign(settings: Settings) -> Engine:
    return Engine(settings.zeebe_address or "", cluster.version_of(settings), found=True)


def _train_if_missing(home: Home) -> bool:
    """Train for the Java and the version that ran here, whatever the settings say by now."""
    try:
        cache = StartCache.from_json(json.loads(home.launch_file.read_text())["start_cache"])
    except (OSError, ValueError, KeyError):
        return False
    if cache.exists() or not cache.distribution.is_whole():
        return False
    train_in_background(cache)
    return True
