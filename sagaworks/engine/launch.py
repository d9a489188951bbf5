"""How the engine is started: Java's options, the engine's settings, what its keeper is told."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sagaworks.engine.distribution import Distribution
from sagaworks.engine.java import Java, clean_environment
from sagaworks.engine.places import Home
from sagaworks.engine.ports import Ports
from sagaworks.engine.startcache import StartCache

MAIN = "io.camunda.application.StandaloneBroker"
# Measured: enough for tens of thousands of sagas; the serial collector starts fastest and needs
# least memory, and one partition can't use a parallel one. A start cache holds for one collector.
_JAVA_OPTIONS = (
    "-Xmx768m",
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",  # no file in the machine's temporary folder
    "-Dfile.encoding=UTF-8",
    "-Dspring.main.banner-mode=off",
)
# Compiling with the quick compiler only: ready sooner, 30-50 % slower once warm.
_QUICK_OPTION = "-XX:TieredStopAtLevel=1"
# As shipped the engine stops at 2 GB of free disk. It needs room for a log segment and a snapshot.
_STOP_AT_FREE = "512MB"
_REFUSE_REPLICATION_AT_FREE = "256MB"
# As shipped it's five minutes: a killed engine replays as much, and history hears it all again.
_SNAPSHOT_PERIOD = "1m"
# As shipped a thread without work spins, yields, and sleeps from 1 us on up to 20 ms, which others
# on the same few processors pay for; whoever has work for it wakes it anyway: docs/decisions/0081.
_IDLE = {
    "zeebe.actor.idle.maxSpins": 1,
    "zeebe.actor.idle.maxYields": 1,
    "zeebe.actor.idle.minParkPeriod": "20ms",
}
GRACE_SECONDS = 20.0
# How the exporter shows history's token; a command line would tell it to the whole machine.
USERNAME = "ZEEBE_BROKER_EXPORTERS_SAGAWORKS_ARGS_AUTHENTICATION_USERNAME"
PASSWORD = "ZEEBE_BROKER_EXPORTERS_SAGAWORKS_ARGS_AUTHENTICATION_PASSWORD"  # noqa: S105  its name


@dataclass(frozen=True)
class Launch:
    """One engine to be started: which, with which Java, on which ports, in which folder."""

    java: Java
    distribution: Distribution
    ports: Ports
    home: Home
    quick: bool = False
    attached: bool = False
    history: bool = False
    more_settings: Mapping[str, object] = field(default_factory=dict)

    def command(self) -> list[str]:
        """Return Java's command line, without a start cache."""
        class_path = ":".join(str(jar) for jar in self.distribution.class_path())
        quick = [_QUICK_OPTION] if self.quick else []
        files = [
            f"-XX:ErrorFile={self.home.logs}/java_crash_%p.log",
            f"-Djava.io.tmpdir={self.home.scratch}",
            f"-Dapp.home={self.home.folder}",
            f"-Dbasedir={self.home.folder}",
        ]
        own = {**self._settings(), **self.more_settings}
        settings = [f"-D{name}={value}" for name, value in own.items()]
        options = [*_JAVA_OPTIONS, *quick, *files, *settings]
        return [str(self.java.executable), *options, "-cp", class_path, MAIN]

    def _settings(self) -> dict[str, object]:
        """The engine's settings where they differ from what is shipped.

        Flushing to disk before anything is acknowledged, and back-pressure, stay as shipped.
        """
        network = "zeebe.broker.network"
        gateway = "zeebe.broker.gateway.network"
        return {
            f"{network}.host": "127.0.0.1",
            f"{network}.advertisedHost": "127.0.0.1",
            f"{network}.commandApi.port": self.ports.command,
            f"{network}.internalApi.port": self.ports.cluster,
            f"{gateway}.host": "127.0.0.1",
            f"{gateway}.port": self.ports.gateway,
            "zeebe.broker.cluster.initialContactPoints": f"127.0.0.1:{self.ports.cluster}",
            "zeebe.broker.data.directory": self.home.data,
            "zeebe.broker.data.snapshotPeriod": _SNAPSHOT_PERIOD,
            "zeebe.broker.data.disk.freeSpace.processing": _STOP_AT_FREE,
            "zeebe.broker.data.disk.freeSpace.replication": _REFUSE_REPLICATION_AT_FREE,
            **_IDLE,
            "server.address": "127.0.0.1",
            "server.port": self.ports.rest,
            "management.server.address": "127.0.0.1",
            "management.server.port": self.ports.monitoring,
            **self._exporter(),
        }

    def _exporter(self) -> dict[str, object]:
        if not self.history:
            return {}
        from sagaworks.history.keeping.exporter import settings_for  # noqa: PLC0415  only here

        return settings_for(self._history_url)

    @property
    def _history_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.history}"

    def _history(self) -> dict[str, object] | None:
        """What the supervisor keeps up beside the engine; its secrets are inherited."""
        if not self.history:
            return None
        listen = self._history_url.removeprefix("http://")
        command = [sys.executable, "-m", "sagaworks.cli", "history", "--listen", listen]
        return {"command": command, "log": str(self.home.history_log)}

    def for_supervisor(self, cache: StartCache) -> dict[str, Any]:
        """Return what `sagaworks.engine.supervisor` reads; JSON-ready."""
        used = cache.exists()
        return {
            "command": self.command(),
            "cache": str(cache.file) if used else None,
            "cache_options": cache.options() if used else [],
            "environment": clean_environment(),
            "inherited": [USERNAME, PASSWORD] if self.history else [],
            "history": self._history(),
            "folder": str(self.home.folder),
            "scratch": str(self.home.scratch),
            "engine_file": str(self.home.engine_file),
            "monitoring_port": self.ports.monitoring,
            "cluster_port": self.ports.cluster,
            "grace_seconds": GRACE_SECONDS,
            "description": self._description(),
            "start_cache": cache.to_json(),
        }

    def _description(self) -> dict[str, object]:
        return {
            "address": f"127.0.0.1:{self.ports.gateway}",
            "monitoring": f"http://127.0.0.1:{self.ports.monitoring}",
            "version": self.distribution.version,
            "java": str(self.java),
            "quick": self.quick,
            "attached": self.attached,
            "history": self._history_url if self.history else None,
        }
