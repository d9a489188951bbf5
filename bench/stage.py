"""What every subject works with: one engine with its history, one database server, one folder."""

import os
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.databases import Databases
from bench.errors import BenchError
from bench.meter import children_of
from bench.subjects.listed import Subject
from demo.processes import Child, Children
from sagaworks import engine
from sagaworks.engine.progress import download_bar
from sagaworks.settings import Settings
from sagaworks.testing.servers import PostgreSQL

DIAGRAM: Final = Path(__file__).with_name("buy.bpmn")
PROJECT: Final = Path(__file__).parents[1]

ENDS_WITHIN: Final = 5.0
"""Seconds from SIGTERM to SIGKILL for a subject's process."""

FOREIGN: Final = ("SAGAWORKS_", "ZEEBE_", "BENCH_")
FOREIGN_ENDS: Final = ("_DATABASE_URL", "_MANAGEMENT_URL", "_MANAGE_PORT")
KEPT: Final = {"SAGAWORKS_CACHE"}


class Stage:
    """Engine, databases and the processes of one subject after the other.

    Args:
        folder: for data and logs.
        server: runs already; everything else is started by `start`.
    """

    def __init__(self, folder: Path, console: Console, server: PostgreSQL) -> None:
        """Start nothing yet."""
        self.folder = folder
        self.console = console
        self.environ = _clean(os.environ) | {"SAGAWORKS_DATA": str(folder)}
        self.settings = Settings.load(self.environ)
        self.engine: engine.Engine | None = None
        self.databases = Databases(server)
        self.children = Children(folder, self.environ, PROJECT)

    def start(self) -> None:
        """Start the engine and its history, make the databases.

        Raises:
            SagaworksError: something doesn't start; says what and where its log is.
        """
        began = time.monotonic()
        with download_bar() as progress:
            self.engine = engine.up(
                self.settings, progress=progress, on_note=self._note, attached=True, history=True
            )
        self.environ["ZEEBE_ADDRESS"] = self.engine.address
        self.databases.create()
        seconds = time.monotonic() - began
        self._note(f"engine {self.engine.version} and three databases ready in {seconds:.0f} s")

    def diagram_for(self, tag: str) -> Path:
        """Write the diagram with job types and a process id of this run's own.

        So nothing that a subject leaves behind reaches the next.
        """
        text = DIAGRAM.read_text()
        for role in self.databases.names:
            text = text.replace(f'type="{role}.', f'type="{role}_{tag}.')
        text = text.replace('id="buy"', f'id="buy_{tag}"').replace('="buy"', f'="buy_{tag}"')
        for old in self.folder.glob("*.bpmn"):
            old.unlink()
        file = self.folder / f"buy_{tag}.bpmn"
        file.write_text(text)
        return file

    def enter(self, subject: Subject, tag: str) -> list[int]:
        """Start the subject's three processes on empty databases; return their process ids."""
        self.databases.empty()
        for role in self.databases.names:
            name = f"{role}_{tag}"
            given = {f"{name.upper()}_DATABASE_URL": self.databases.url(role), **subject.environ}
            if subject.has_history:
                given["SAGAWORKS_HISTORY"] = self._started().history or ""
            self.children.environ = self.environ
            self.children.start(name, "-m", "bench.subjects", subject.name, role, name, **given)
        return [child.process.pid for child in self.children.children]

    def leave(self) -> None:
        """End the subject's processes."""
        for child in self.children.children:
            _keep_log_short(child)
        self.children.stop(ENDS_WITHIN, last="")

    def check(self) -> None:
        """Return if engine and database server run.

        Raises:
            BenchError: one of them has ended.
        """
        if engine.status(self.settings) is None:
            raise BenchError(f"the engine has ended; its logs are in {self.folder / 'engine'}")
        if not self.databases.server.processes():
            raise BenchError(f"PostgreSQL has ended; see {self.databases.server.log}")

    def stop(self) -> None:
        """End everything."""
        self.leave()
        engine.down(self.settings, train=False)

    def kill(self) -> None:
        """End all processes at once; the engine ends with this one."""
        self.children.kill()

    def database_pid(self) -> int:
        """The process of the database server, whose children serve the connections."""
        return self.databases.server.processes()[0]

    def engine_pid(self) -> int:
        """The process of the engine's Java."""
        return self._started().pid or 0

    def history_pid(self) -> int:
        """The process of the history beside the engine, which is kept up by the same supervisor."""
        found = self._started()
        beside = {*children_of(found.supervisor_pid or 0)} - {found.pid}
        if not beside:
            raise BenchError(f"history has ended; its log is in {self.folder / 'engine'}")
        return min(beside)

    def about(self) -> dict[str, object]:
        """The machine and the versions: what a figure depends on."""
        assert self.engine is not None  # noqa: S101  set by start
        packages = ("sagaworks", "pyzeebe", "grpcio", "sqlmodel", "sqlalchemy", "psycopg")
        return {
            "processors": os.cpu_count(),
            "processor": _processor(),
            "memory_mb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "java": self.engine.java,
            "engine": self.engine.version,
            "packages": {name: version(name) for name in packages},
            "postgresql": self.databases.about(),
        }

    def _started(self) -> engine.Engine:
        if self.engine is None or self.engine.pid is None:
            raise BenchError("the engine isn't a process of this machine's: unset ZEEBE_ADDRESS")
        return self.engine

    def _note(self, note: str) -> None:
        self.console.print(f"  {note}", highlight=False, markup=False, soft_wrap=True)


def _clean(environ: Mapping[str, str]) -> dict[str, str]:
    """Nobody's settings, databases or cluster but the benchmark's own."""
    return {
        name: value
        for name, value in environ.items()
        if name in KEPT or not (name.startswith(FOREIGN) or name.endswith(FOREIGN_ENDS))
    }


def _keep_log_short(child: Child) -> None:
    """A worker logs a line a job; what nobody asked for is removed once it ran well."""
    if child.process.poll() is None:
        child.log.unlink(missing_ok=True)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
