"""The user's own services, each carried out by our worker on the fixture's loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from sagaworks.errors import EngineError
from sagaworks.service import Service

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from sagaworks.runtime.worker import Worker
    from sagaworks.settings import Settings
    from sagaworks.testing.engines import EngineUnderTest
    from sagaworks.testing.faults import Mortal
    from sagaworks.testing.feed import Feed
    from sagaworks.testing.loop import Loop

_READY_SECONDS: Final = 30.0
_CRASH_SECONDS: Final = 2.0


class RunningWorker:
    """One service's worker; it can be stopped, let die, and started again.

    Attributes:
        service: as the test gave it.
    """

    def __init__(  # noqa: PLR0913, PLR0917  where the parts of the fixture meet
        self,
        service: Service,
        settings: Settings,
        loop: Loop,
        feed: Feed,
        engine: EngineUnderTest,
        stubbed: Callable[[], set[str]],
        employ: Callable[[Service, Settings], Worker | Mortal],
    ) -> None:
        """Start nothing yet."""
        self.service = service
        self._settings = settings
        self._loop = loop
        self._feed = feed
        self._engine = engine
        self._stubbed = stubbed
        self._employ = employ
        self._stop: asyncio.Event | None = None
        self._running: asyncio.Task[int] | None = None

    @property
    def settings(self) -> Settings:
        """What the worker is given: engine, databases, threads, lock."""
        return self._settings

    @property
    def job_types(self) -> set[str]:
        """What it takes jobs of; nothing while it doesn't run."""
        return job_types_of(without(self.service, self._stubbed())) if self._running else set()

    def start(self) -> None:
        """Start the worker and return once it takes jobs.

        Raises:
            EngineError: it doesn't come to that; says why.
        """
        wanted = without(self.service, self._stubbed())
        before = self._engine.openings(self._feed)
        worker = self._loop.call(lambda: self._employ(wanted, self._settings))
        self._stop = self._loop.call(asyncio.Event)
        self._running = self._loop.begin(worker.run(self._stop))
        self._running.add_done_callback(lambda _: self._feed.take_stream(""))
        self._await_streams(wanted, worker, before)

    def stop(self) -> None:
        """Let the worker finish what it has, and end, as SIGTERM does."""
        if self._running and self._stop:
            self._loop.call(self._stop.set)
            self._loop.run(asyncio.wait_for(self._running, None))
            self._running = None

    def crash(self) -> None:
        """End the worker in the midst of what it does; what it has committed stays."""
        if self._running:
            self._loop.end(self._running, seconds=_CRASH_SECONDS)
            self._running = None

    def _await_streams(
        self, wanted: Service, worker: Worker | Mortal, before: Counter[str]
    ) -> None:
        types = job_types_of(wanted)

        def are_open(now: Counter[str]) -> bool:
            ended = self._running is not None and self._running.done()
            return ended or all(now[type_] > before[type_] for type_ in types)

        is_open = self._engine.await_openings(self._feed, are_open, _READY_SECONDS)
        if not is_open or self._running is None or self._running.done():
            raise EngineError(f"{wanted.name}: the worker isn't ready: {self._reasons(worker)}")

    def _reasons(self, worker: Worker | Mortal) -> str:
        if self._running and self._running.done():
            return str(self._running.exception() or "it ended")
        return "; ".join(worker.ready())

    def __repr__(self) -> str:
        """Name its service."""
        return f"<RunningWorker {self.service.name}>"


def without(service: Service, job_types: set[str]) -> Service:
    """Return the service less the steps and compensations that something else stands in for."""
    rest = Service(service.name)
    rest.steps = {n: s for n, s in service.steps.items() if s.job_type not in job_types}
    rest.compensations = {
        n: c for n, c in service.compensations.items() if c.job_type not in job_types
    }
    rest.queries = service.queries
    return rest


def job_types_of(service: Service) -> set[str]:
    """Return the job types of a service's steps and compensations."""
    return {f"{service.name}.{name}" for name in (*service.steps, *service.compensations)}
