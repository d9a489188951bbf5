"""Everything that the demo starts: engine, databases, partner, workers, diagrams."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from rich.console import Console

from demo.databases import Databases, Servers
from demo.errors import DemoError
from demo.home import Home, demo_environment
from demo.processes import Child, Children
from demo.readings import PARTNERS, Readings
from demo.sagas import PLACE_ORDER, AnyPlan, DemoSaga
from sagaworks import engine
from sagaworks.engine.progress import download_bar
from sagaworks.migrate import upgrade
from sagaworks.project import Project
from sagaworks.runtime.gateway import connect
from sagaworks.settings import Settings

WORKER_ENDS_WITHIN: Final = 30.0
"""Seconds from SIGTERM to SIGKILL: more than a worker's own time of grace."""

BUSY_CALLS: Final = 10
"""Calls of a hundred that the simulated partner first answers with 503."""

ENGINE_SEEN_EVERY: Final = 5.0
"""Seconds between two looks at the engine, which its own keeper brings back when it dies."""

LARGE: Final = 500
"""Orders from which on the engine's slower, better compiler pays."""


class System:
    """The demo's processes, and how to reach them."""

    def __init__(  # noqa: PLR0913, PLR0917  what a demo is made of
        self,
        project: Project,
        home: Home,
        console: Console,
        cluster: str | None,
        databases: Databases = Databases.SQLITE,
        saga: DemoSaga = PLACE_ORDER,
    ) -> None:
        """Start nothing yet; `cluster` is the address of an engine that the caller names."""
        self.saga = saga
        self.project = project
        self.home = home
        self.console = console
        self.cluster = cluster
        self.environ = demo_environment(os.environ, home, cluster)
        self.settings = Settings.load(self.environ, project)
        self.engine_seen = time.monotonic()
        self.servers = Servers(home.servers, self.settings.engine_cache, self._note_of_servers)
        self.databases = databases
        self.run: Callable[[Coroutine[Any, Any, object]], object] = asyncio.run
        self.children = Children(home.folder, self.environ, project.root)

    def reach(self) -> None:
        """Look whether the cluster answers that the caller names, before anything is removed."""
        if self.cluster:
            engine.up(self.settings)

    def clear(self) -> None:
        """Begin afresh: remove what an earlier demo left."""
        if not self.cluster:
            engine.down(self.settings, train=False)
        self.servers.await_end()
        self.home.clear()

    def start(self, plan: AnyPlan) -> Readings:
        """Start everything, with databases filled for the plan; return how to ask it.

        Raises:
            SagaworksError: something doesn't start; says what and where its log is.
        """
        self._engine(quick=len(plan.orders) < LARGE)
        owners = self._start_servers() if self.databases is Databases.SERVERS else self.settings
        for service in self.saga.services:
            upgrade(service, owners, self.project)
        if not self.home.seeded.exists():
            self.saga.seed(self.settings, plan)
            self.home.seeded.write_text(self.saga.process)
        began = time.monotonic()
        partner = self._start_partner()
        for service in self.saga.services:
            self.children.start(service, "-m", "workers", service, **partner)
        self.children.await_all(_has_url)
        readings = Readings({child.name: child.url() or "" for child in self.children.children})
        self._deploy()
        self.children.await_all(lambda child: _why_not_ready(child, readings))
        self._say("workers", f"{', '.join(self.saga.services)}", time.monotonic() - began)
        return readings

    def check(self) -> None:
        """Raise DemoError if a process or the engine has ended."""
        self.children.check()
        self.servers.check()
        if self.cluster or time.monotonic() - self.engine_seen < ENGINE_SEEN_EVERY:
            return
        self.engine_seen = time.monotonic()
        if engine.status(self.settings) is None:
            logs = engine.Home.of(self.settings).logs
            raise DemoError(f"the engine has ended; its logs are in {logs}")

    def stop(self, *, train: bool) -> None:
        """Stop everything: workers, partner, engine; with `train` the next start may be faster."""
        for killed in self.children.stop(WORKER_ENDS_WITHIN, last=self.saga.partner.name):
            self._note(f"{killed} didn't end by itself: killed")
        self.servers.stop()
        if self.cluster:
            return
        stopped = engine.down(self.settings, train=train)
        if stopped and stopped.training:
            self._note("its start cache is being written in the background, once (20 s)")

    def kill(self) -> None:
        """End all processes at once; engine and servers end with this process."""
        self.children.kill()

    def _engine(self, *, quick: bool) -> None:
        began = time.monotonic()
        with download_bar() as progress:
            found = engine.up(
                self.settings,
                progress=progress,
                on_note=self._note,
                attached=True,
                quick=quick,
                history=True,
            )
        if found.history:
            self.children.environ["SAGAWORKS_HISTORY"] = found.history
        self._say("engine", f"Zeebe {found.version} at {found.address}", time.monotonic() - began)

    def _start_servers(self) -> Settings:
        """Start PostgreSQL and MariaDB, tell the workers; return the owners' settings."""
        began = time.monotonic()
        self.servers.start()
        self._say("servers", str(self.servers), time.monotonic() - began)
        told = self.children.environ | self.servers.urls()
        self.children.environ = {
            name: value for name, value in told.items() if not name.endswith("_OWNER_URL")
        }
        self.settings = Settings.load(self.children.environ, self.project)
        return Settings.load(told, self.project)

    def _start_partner(self) -> dict[str, str]:
        """Start the simulated partner; return the environment that tells where it is."""
        name, module, variable = self.saga.partner
        journal = str(self.home.folder / f"{name}.jsonl")
        run_file = str(self.children.run / f"{name}.json")
        options = ("--journal", journal, "--run-file", run_file, "--busy", str(BUSY_CALLS))
        partner = self.children.start(name, "-m", module, *options)
        self.children.await_all(_has_url)
        return {variable: partner.url() or ""}

    def _deploy(self) -> None:
        async def deploy() -> None:
            async with connect(self.settings) as gateway:
                await gateway.deploy(self.project.diagram_files())

        self.run(deploy())

    def _note(self, note: str) -> None:
        text = f"  {'engine':<10}{note}"
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _note_of_servers(self, note: str) -> None:
        self.console.print(f"  {'servers':<10}{note}", highlight=False, markup=False)

    def _say(self, what: str, found: str, seconds: float) -> None:
        text = f"  {what:<10}{found} ({seconds:.1f} s)"
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _has_url(child: Child) -> str | None:
    return None if child.url() else "it hasn't said where it is"


def _why_not_ready(child: Child, readings: Readings) -> str | None:
    return None if child.name in PARTNERS else readings.why_not_ready(child.name)
