"""A worker that dies where a test says, as if it were killed there, and is followed by another."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from sagaworks.ledger.points import Point
from sagaworks.runtime.worker import Worker
from sagaworks.saga import JobKey
from sagaworks.testing.faults.fault import Fault

if TYPE_CHECKING:
    from sagaworks.service import Service
    from sagaworks.settings import Settings
    from sagaworks.testing.faults.jobs import SeenJob
    from sagaworks.testing.faults.link import Link
    from sagaworks.testing.faults.wire import Wire

_TAKEN_WITHIN: Final = 1.0
"""Seconds after which a dead worker's job is handed out once more, if nobody has taken it."""

_ENDS_WITHIN: Final = 2.0
"""Seconds that a worker whose test is over has to close what it has open."""


class DiedError(asyncio.CancelledError):
    """The worker is dead: nothing of it goes on, so nothing catches this, nor logs it."""


class Life:
    """One life of a worker, from its start to its death.

    Args:
        service: the name of the worker's service.
        link: its own way to the engine.
    """

    def __init__(self, service: str, link: Link) -> None:
        """Begin."""
        self.service = service
        self.link = link
        self.is_over = False
        self.running: asyncio.Task[int] | None = None
        self._loop = asyncio.get_running_loop()

    def end(self) -> None:
        """Die: from now on nothing is said to the engine, and no thread of it gets any further."""
        self.is_over = True
        self.link.cut()
        self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self.running:
            self.running.cancel()


_life: Final[ContextVar[Life | None]] = ContextVar("life", default=None)
"""Whose code this is; a worker's threads and tasks inherit it."""


class Crash(Fault):
    """Let the worker die once for each job, at one point of its life.

    Args:
        point: where.
        job_type: at which jobs; None for all.
    """

    def __init__(self, point: Point, job_type: str | None = None) -> None:
        """Let nobody die yet."""
        super().__init__(f"the worker dies: {point}", job_type)
        self.point = point
        self._met_by: set[object] = set()

    def reached(self, point: Point, job: JobKey | None) -> None:
        """Hear how far a worker has got; end it if it's to die here, or is dead already."""
        life = _life.get()
        if life is None:
            return
        if not life.is_over and point is self.point and self._is_to_die(life, job):
            life.end()
            self.count(str(self.wire.jobs[job]) if job else "no job")
        if life.is_over:
            raise DiedError(self.name)

    def _is_to_die(self, life: Life, key: JobKey | None) -> bool:
        """Say yes once for each job; where the point has none, once for each service."""
        with self.wire.changed:
            job = self.wire.jobs.get(key) if key else None
            if self.job_type is not None and (job is None or job.type != self.job_type):
                return False
            met = key or life.service
            if met in self._met_by:
                return False
            self._met_by.add(met)
            return True


class Mortal:
    """Runs a service's worker, and a fresh one after each death.

    Args:
        service: whose steps.
        settings: for each of its workers, but for the engine's address.
        wire: on which they reach the engine.
        workers: how many of them live at the same time.

    Attributes:
        deaths: how many have died.
    """

    def __init__(
        self, service: Service, settings: Settings, wire: Wire, *, workers: int = 1
    ) -> None:
        """Begin no life yet."""
        self.service = service
        self.deaths = 0
        self._settings = settings
        self._wire = wire
        self._workers: list[Worker | None] = [None] * workers

    def ready(self) -> list[str]:
        """Say why the workers of this moment can't take jobs now; empty while they can."""
        return [
            reason
            for worker in self._workers
            for reason in (worker.ready() if worker else ["it hasn't begun"])
        ]

    async def run(self, stop: asyncio.Event) -> int:
        """Take jobs until `stop` is set, life after life; return how many were left unfinished."""
        places = range(len(self._workers))
        return sum(await asyncio.gather(*(self._live_on(place, stop) for place in places)))

    async def _live_on(self, place: int, stop: asyncio.Event) -> int:
        while True:
            life = Life(self.service.name, self._wire.open_link())
            settings = replace(self._settings, zeebe_address=life.link.address)
            worker = self._workers[place] = Worker(self.service, settings)
            context = copy_context()
            context.run(_life.set, life)
            life.running = asyncio.get_running_loop().create_task(worker.run(stop), context=context)
            try:
                return await life.running
            except asyncio.CancelledError:
                if not life.is_over:
                    await asyncio.wait({life.running}, timeout=_ENDS_WITHIN)
                    raise
            self.deaths += 1
            await asyncio.to_thread(self._hand_on, life)

    def _hand_on(self, life: Life) -> None:
        """Let the locks of the dead worker's jobs run out, so that the next one gets them."""
        for job in life.link.held():
            self._end_lock(job, job.taken)

    def _end_lock(self, job: SeenJob, taken: int) -> None:
        if job.is_gone or job.taken > taken:
            return
        self._wire.end_lock(job)
        # The engine may have pushed it into the dead worker's stream, not knowing of its death.
        self._wire.later.call(_TAKEN_WITHIN, partial(self._end_lock, job, taken))
