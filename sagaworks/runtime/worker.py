"""A worker: one service's steps, taking jobs until it's told to stop."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import copy_context
from functools import partial
from typing import Any, Final

from grpc import StatusCode
from loguru import logger
from prometheus_client import CollectorRegistry
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from sagaworks.errors import ConfigurationError
from sagaworks.history import History, connect
from sagaworks.ledger.answers import Answer
from sagaworks.ledger.decide import Presence
from sagaworks.ledger.protocol import Ledger
from sagaworks.ledger.reader import SETTLED_WITHIN
from sagaworks.ledger.statements import count_in_doubt
from sagaworks.ledger.store import Store
from sagaworks.ledger.turns import Probe
from sagaworks.ledger.witness import Witness
from sagaworks.observe.metrics import WorkerMetrics
from sagaworks.reconcile import Reconciler, Rhythm
from sagaworks.reconcile.settling import SETTLED, Hands, Settling
from sagaworks.runtime.channel import open_channel
from sagaworks.runtime.commands import JobCommands
from sagaworks.runtime.contact import Contact
from sagaworks.runtime.crew import Crew
from sagaworks.runtime.deliveries import variables_to_fetch
from sagaworks.runtime.gateway import DEFAULT_TENANT
from sagaworks.runtime.handler import Handler
from sagaworks.runtime.locks import HeldJob, LockClock
from sagaworks.runtime.marks import Marks
from sagaworks.runtime.patience import Patience
from sagaworks.runtime.reports import Reports
from sagaworks.runtime.slots import Slots
from sagaworks.runtime.source import JobSource, Wanted
from sagaworks.saga import JobKey
from sagaworks.service import Service
from sagaworks.settings import Settings
from sagaworks.step import Compensation, Step

_BEAT: Final = 1.0
"""Seconds between two looks at the jobs in hand, and between two signs of life."""

_DEAF_AFTER: Final = 10.0

_PARTING: Final = 1.0
"""Seconds that handing back may take once the time of grace is over."""

_SLOWEST_EXTENSION: Final = 3.0
"""Seconds after which a running job's lock is extended at the latest; so a step learns soon that
the engine has taken its job away."""


class Worker:
    """Carries out one service's jobs.

    Args:
        service: whose steps.
        settings: where the engine and the database are, how many threads, how long a lock.
        registry: where the metrics are registered; a fresh one by default.
        history: the engine's; by default the one that `settings` name, if they name one.
        rhythm: how the reconciler sweeps.
    """

    def __init__(
        self,
        service: Service,
        settings: Settings,
        *,
        registry: CollectorRegistry | None = None,
        history: History | None = None,
        rhythm: Rhythm | None = None,
    ) -> None:
        """Open nothing yet."""
        self.service = service
        self.settings = settings
        self.metrics = WorkerMetrics(registry or CollectorRegistry())
        self.store = self._store()
        is_async = any(task.is_async for task in self._tasks())
        self._awaiting = self._store(awaits=True) if is_async else None
        self.slots = Slots(settings.threads)
        self._lock = settings.lock.total_seconds()
        self._clock = LockClock()
        self._jobs: dict[asyncio.Task[None], HeldJob] = {}
        self._not_begun: list[HeldJob] = []
        self._returning: set[asyncio.Task[None]] = set()
        self._background: list[asyncio.Task[None]] = []
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix=service.name)
        self._database_reason: str | None = "the database hasn't been looked at yet"
        self._draining = False
        self._beat = time.monotonic()
        self._contact: Contact | None = None
        self._crew: Crew | None = None
        self._handler: Handler | None = None
        self._reports: Reports | None = None
        self._sources: list[JobSource] = []
        self._rhythm = rhythm
        self._history = history
        if history is None and (place := settings.history_place()):
            self._history = connect(place, token=settings.token)
        self.metrics.watch_in_doubt(self._count_in_doubt)
        self.metrics.jobs_in_flight.set_function(lambda: len(self._jobs))

    async def run(self, stop: asyncio.Event) -> int:
        """Take jobs until `stop` is set, then drain; return how many threads were left at work."""
        try:
            beat = asyncio.create_task(self._keep_beating())
            try:
                if not await self._wait_for_database(stop):
                    return 0
                return await self._work(stop)
            finally:
                beat.cancel()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self.store.close()

    def live(self) -> list[str]:
        """Say why the process should be restarted; empty while its loop responds."""
        silent = time.monotonic() - self._beat
        return [f"the event loop has been stuck for {silent:.0f} s"] if silent > _DEAF_AFTER else []

    def ready(self) -> list[str]:
        """Say why the worker can't take jobs now; empty while it can."""
        reasons = [self._database_reason] if self._database_reason else []
        reasons += self._contact.reasons() if self._contact else []
        reasons += [source.reason for source in self._sources if source.reason]
        return [*reasons, "draining"] if self._draining else reasons

    async def _work(self, stop: asyncio.Event) -> int:
        async with AsyncExitStack() as stack:
            channel = await stack.enter_async_context(open_channel(self.settings))
            stub = GatewayStub(channel)
            commands = JobCommands(stub, self.metrics)
            marks_pool = ThreadPoolExecutor(1, thread_name_prefix="marks")
            stack.callback(marks_pool.shutdown, wait=False)
            witness = Witness(self._history) if self._history else None
            ledger = Ledger(self.store, self._probe(commands), witness=witness)
            marks = Marks(ledger.mark_counted, marks_pool)
            count_report = partial(self._count_report, ledger)
            patience = Patience()
            reports = Reports(commands, marks, count_report, self._note_doubt, patience)
            tenant = self.settings.tenant
            self._reports = reports
            threads, group = self.settings.threads, self.settings.group
            awaiting = self._awaiting_ledger(commands, stack)
            self._crew = Crew(ledger, awaiting, self._pool, threads, group, self.metrics, patience)
            self.slots.resize(self._crew.room)
            doors = self._say_database, self._leave_place
            self._handler = Handler(self._crew, reports, self.metrics, tenant, *doors)
            self._contact = Contact(stub, self.settings.engine_address(), self.metrics)
            self._sources = [self._source(stub, task) for task in self._tasks()]
            reconciler = self._reconciler()
            loops = (
                self._contact.keep_asking(),
                self._keep_locks(commands),
                self._keep_looking_at_database(),
                marks.keep_writing(),
                reconciler.keep_sweeping(),
            )
            async with self._running(*loops):
                await self._take_until(stop)
                left = await self._drain()
            if not left:
                # A step that hangs may hold the database; its worker mustn't wait for it.
                await marks.flush()
            return left + reconciler.hangs

    async def _take_until(self, stop: asyncio.Event) -> None:
        streams = [source.keep_streaming() for source in self._sources]
        polls = [source.keep_polling() for source in self._sources]
        async with self._running(*polls) as polling:
            async with self._running(*streams):
                logger.info("{} takes jobs of {} types", self.service.name, len(self._sources))
                await self._until_stopped_or_broken(stop)
                self._draining = True
                self.metrics.draining.set(1)
                for source in self._sources:
                    source.stop()
            if polling:
                # A poll under way has jobs on their way here.
                await asyncio.wait(polling, timeout=_BEAT)

    async def _until_stopped_or_broken(self, stop: asyncio.Event) -> None:
        """Wait for the stop; a loop that ends by an error ends the worker, never silently."""
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait(
                {stopping, *self._background}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done - {stopping}:
                task.result()
        finally:
            stopping.cancel()

    async def _drain(self) -> int:
        """Finish what has begun, within the time of grace; hand back the rest."""
        assert self._handler is not None  # noqa: S101  set before any source runs
        # Not sooner: while a stream is open, what is handed back comes straight back.
        self._handler.stop()
        for held in self._not_begun:
            self._return(held)
        if self._jobs or self._returning:
            logger.info("finishing {} jobs", len(self._jobs))
            under_way = {*self._jobs, *self._returning}
            await asyncio.wait(under_way, timeout=self.settings.grace.total_seconds())
        left = dict(self._jobs)
        for task, held in left.items():
            if held.begun:
                logger.warning("job {} of {} was left unfinished", held.key, held.task.name)
            # Its thread can't be stopped, but it won't commit any more.
            held.given_up = True
            task.cancel()
            if not held.reported:
                self._return(held)
        if self._returning:
            await asyncio.wait(self._returning, timeout=_PARTING)
        for task in self._returning:
            task.cancel()
        return sum(held.begun for held in left.values())

    def _give_back(self, job: Any) -> None:  # noqa: ANN401
        """Have a job that hasn't begun handed back, so that another worker has it soon."""
        self._not_begun.append(self._hold(job))

    def _return(self, held: HeldJob) -> None:
        assert self._reports is not None  # noqa: S101  set before any source runs
        why = "the worker is stopping; retries unchanged"
        sending = self._reports.fail(held, held.job.retries, why)
        returning = asyncio.create_task(sending)
        self._returning.add(returning)
        returning.add_done_callback(self._returning.discard)

    def _receive(self, job: Any) -> None:  # noqa: ANN401
        if self._draining:
            self.slots.give()
            self._give_back(job)
            return
        held = self._hold(job)
        if held.left <= 0:
            # It waited past its lock on the way here; the engine gives it to somebody else.
            self.metrics.jobs.labels(held.task.name, "expired").inc()
            self.slots.give()
            return
        assert self._handler is not None  # noqa: S101  set before any source runs
        running = asyncio.create_task(self._handler.handle(held))
        self._jobs[running] = held
        running.add_done_callback(self._finished)

    def _hold(self, job: Any) -> HeldJob:  # noqa: ANN401
        task = self.service.task_of(job.type)
        assert task is not None  # noqa: S101  nothing else is asked for
        left = self._clock.left(job.deadline, self._lock)
        return HeldJob(job, task, expires=time.monotonic() + left)

    def _finished(self, running: asyncio.Task[None]) -> None:
        held = self._jobs.pop(running)
        if self._crew:
            self.slots.resize(self._crew.room)
        self._leave_place(held)
        if not running.cancelled() and running.exception():
            # Nothing may leave a handler; if something does, the lock's end brings the job back.
            logger.opt(exception=running.exception()).error("job {} not answered", held.key)

    def _leave_place(self, held: HeldJob) -> None:
        if held.has_place:
            held.has_place = False
            self.slots.give()

    async def _keep_locks(self, commands: JobCommands) -> None:
        """Extend the locks of running jobs; a refusal tells the step that it has lost its job."""
        every = min(self._lock / 3, _SLOWEST_EXTENSION)
        while True:
            await asyncio.sleep(min(_BEAT, every / 2))
            now = time.monotonic()
            due = [h for h in self._jobs.values() if h.begun and now - h.extended >= every]
            await asyncio.gather(*(self._extend(commands, held) for held in due))

    async def _extend(self, commands: JobCommands, held: HeldJob) -> None:
        asked = time.monotonic()
        reply = await commands.extend(held.key, self.settings.lock, seconds=self._lock / 3)
        if reply.code is StatusCode.OK:
            held.extended, held.expires = asked, asked + self._lock
        elif reply.code is StatusCode.NOT_FOUND:
            held.lost = True

    async def _keep_beating(self) -> None:
        while True:
            self._beat = time.monotonic()
            await asyncio.sleep(_BEAT)

    async def _keep_looking_at_database(self) -> None:
        """While the database fails, look whether it's back: a job needn't come to find out."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(2 * _BEAT)
            if self._database_reason:
                await loop.run_in_executor(None, self._look_at_database)

    def _look_at_database(self) -> bool:
        try:
            self.store.check_version(self.service.name)
        except ConfigurationError as error:
            self._say_database(str(error))
            return False
        self._database_reason = None
        return True

    async def _wait_for_database(self, stop: asyncio.Event) -> bool:
        """Wait until the database is there and migrated; say once what is missing."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            if await loop.run_in_executor(self._pool, self._look_at_database):
                return True
            try:
                async with asyncio.timeout(_BEAT):
                    await stop.wait()
            except TimeoutError:
                continue
        return False

    def _say_database(self, reason: str) -> None:
        if reason != self._database_reason:
            logger.warning("not ready: {}", reason)
        self._database_reason = reason

    def _store(self, *, awaits: bool = False) -> Store:
        url, threads = self.settings.database_url(self.service.name), self.settings.threads
        return Store(url, pool_size=threads, wait=self.settings.lock, awaits=awaits)

    def _awaiting_ledger(self, commands: JobCommands, stack: AsyncExitStack) -> Ledger | None:
        """Return the ledger for ``async def`` steps, where the service has any."""
        if self._awaiting is None:
            return None
        # Only such a service needs the extra `async`.
        from sagaworks.ledger import bridge  # noqa: PLC0415

        def probe(job: JobKey) -> Presence:
            return bridge.wait_for(commands.presence(job, self.settings.lock))

        stack.push_async_callback(bridge.run, self._awaiting.close)
        witness = Witness(self._history, aside=bridge.aside) if self._history else None
        return Ledger(self._awaiting, probe, bridge.pause, witness)

    def _reconciler(self) -> Reconciler:
        plain = Hands(self.store)
        settling = Settling(self.service, plain, self._awaiting_hands(), self._tell)
        tenant = self.settings.tenant
        return Reconciler(self.store, settling, self._history, tenant, self._rhythm)

    def _awaiting_hands(self) -> Hands | None:
        """Return how the reconciler calls an ``async def`` compensation: on this loop."""
        if self._awaiting is None:
            return None
        from sagaworks.ledger import bridge  # noqa: PLC0415

        loop = asyncio.get_running_loop()

        def run(work: Callable[[], Any]) -> Any:  # noqa: ANN401  what the work returns
            return asyncio.run_coroutine_threadsafe(bridge.run(work), loop).result()

        return Hands(self._awaiting, run)

    def _tell(self, step: str, outcome: str, saga: str, what: str) -> None:
        """Count and log what the reconciler made of an effect."""
        self.metrics.outcomes.labels(step, outcome).inc()
        level = "INFO" if outcome in SETTLED else "WARNING"
        logger.bind(outcome=outcome, saga=saga, step=step).log(level, "{}", what)

    def _note_doubt(self, held: HeldJob, _answer: Answer) -> None:
        self.metrics.outcomes.labels(held.task.name, "in_doubt").inc()
        why = "the engine has no such job any more; history will tell whether it counts the effect"
        logger.bind(outcome="in_doubt").info("{}", why)

    def _probe(self, commands: JobCommands) -> Probe:
        loop = asyncio.get_running_loop()

        def probe(job: JobKey) -> Presence:
            asked = commands.presence(job, self.settings.lock)
            return asyncio.run_coroutine_threadsafe(asked, loop).result()

        return probe

    async def _count_report(self, ledger: Ledger, row: int, job: JobKey) -> None:
        count = partial(copy_context().run, ledger.report_again, row, job)
        await asyncio.get_running_loop().run_in_executor(self._pool, count)

    def _count_in_doubt(self) -> float:
        try:
            with self.store.reading() as connection:
                return count_in_doubt(connection, SETTLED_WITHIN.total_seconds())
        except Exception:  # noqa: BLE001  a scrape must not fail because the database does
            return float("nan")

    def _source(self, stub: Any, task: Step[..., Any] | Compensation[Any]) -> JobSource:  # noqa: ANN401
        assert self._contact is not None  # noqa: S101  made just before
        tenants = () if self.settings.tenant == DEFAULT_TENANT else (self.settings.tenant,)
        wanted = Wanted(
            job_type=task.job_type,
            worker=self.service.name,
            lock=self.settings.lock,
            variables=variables_to_fetch(task),
            tenants=tenants,
        )
        return JobSource(stub, wanted, self.slots, self._receive, self._give_back, self._contact)

    def _tasks(self) -> list[Step[..., Any] | Compensation[Any]]:
        return [*self.service.steps.values(), *self.service.compensations.values()]

    @asynccontextmanager
    async def _running(
        self, *loops: Coroutine[Any, Any, None]
    ) -> AsyncIterator[list[asyncio.Task[None]]]:
        """Run endless loops beside the body; cancel them after it."""
        tasks = [asyncio.create_task(loop) for loop in loops]
        self._background += tasks
        try:
            yield tasks
        finally:
            for task in tasks:
                self._background.remove(task)
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
