"""One life of a worker: its parts as `Worker` puts them together, on a simulated engine's stub."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

import grpc
from grpc import StatusCode
from prometheus_client import CollectorRegistry
from psycopg.pq import TransactionStatus

from sagaworks.ledger.decide import Presence
from sagaworks.ledger.line import Line
from sagaworks.ledger.points import Point
from sagaworks.ledger.protocol import Ledger
from sagaworks.ledger.store import Store
from sagaworks.ledger.witness import Witness
from sagaworks.observe.metrics import WorkerMetrics
from sagaworks.reconcile import Reconciler, Rhythm
from sagaworks.reconcile.settling import Hands as SettlesIn
from sagaworks.reconcile.settling import Settling
from sagaworks.runtime.commands import JobCommands
from sagaworks.runtime.crew import Crew
from sagaworks.runtime.deliveries import variables_to_fetch
from sagaworks.runtime.handler import Handler
from sagaworks.runtime.locks import HeldJob
from sagaworks.runtime.marks import Marks
from sagaworks.runtime.reports import Reports
from sagaworks.saga import JobKey
from sagaworks.service import Service
from tests.faults.exploration.engine import SimulatedEngine, SimulatedJob
from tests.faults.exploration.history import SimulatedHistory

TENANT: Final = "<default>"
LOCK: Final = 15.0
"""Seconds that a worker believes it holds a job; a schedule ends the lock in the engine."""

_THREADS: Final = 2


class DiedError(asyncio.CancelledError):
    """The worker is dead: nothing of it goes on, so nothing catches this, nor logs it."""


class Hands:
    """Threads that lives are lived on, one after the other, and their own pools of connections."""

    def __init__(self, urls: dict[str, str]) -> None:
        """Start the loop's thread."""
        self.loop = asyncio.new_event_loop()
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="steps")
        self.marks_pool = ThreadPoolExecutor(1, thread_name_prefix="marks")
        self.metrics = {name: WorkerMetrics(CollectorRegistry()) for name in urls}
        self.stores = {name: Store(url, pool_size=_THREADS) for name, url in urls.items()}
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the threads and close the connections."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self.pool.shutdown()
        self.marks_pool.shutdown()
        for store in self.stores.values():
            store.close()


@dataclass(eq=False)
class Life:
    """One life of one service's worker.

    Attributes:
        watch: told of each point, command and commit that this life gets to, on its own threads.
        is_over: it's dead; nothing it does counts any more.
        job: what it has in hand.
        running: its delivery, until that is over.
    """

    service: Service
    hands: Hands
    engine: SimulatedEngine
    watch: Watch
    is_over: bool = False
    job: SimulatedJob | None = None
    running: Future[None] | None = None
    _task: asyncio.Task[None] | None = None
    _handler: Handler = field(init=False)
    _marks: Marks = field(init=False)
    _reconciler: Reconciler = field(init=False)

    def __post_init__(self) -> None:
        """Put its parts together."""
        store, metrics = self.hands.stores[self.service.name], self.hands.metrics[self.service.name]
        commands = JobCommands(_Stub(self), metrics)
        history, probe = SimulatedHistory(self.engine), partial(self._probe, commands)
        witness = Witness(history, pause=_at_once)
        ledger = Ledger(store, probe, pause=_at_once, witness=witness)
        settling = Settling(self.service, SettlesIn(store), None, lambda *_: None)
        self._reconciler = Reconciler(store, settling, history, TENANT, Rhythm(patience=-1.0))
        self._marks = Marks(ledger.mark_counted, self.hands.marks_pool)
        reports = Reports(commands, self._marks, partial(self._count_report, ledger))
        crew = Crew(ledger, None, self.hands.pool, _THREADS, 1, metrics)
        nobody = lambda _: None  # noqa: E731
        self._handler = Handler(crew, reports, metrics, TENANT, nobody, nobody)
        # No time passes here: what can't be done now comes again when nothing else is left to do.
        self._handler.stop()

    def deliver(self, job: SimulatedJob, done: Callable[[Life], None]) -> None:
        """Hand it a job; `done` is called when nothing more comes of it."""
        task = self.service.task_of(job.task.job_type)
        assert task is not None
        message = self.engine.give(job, variables_to_fetch(task))
        held = HeldJob(message, task, expires=time.monotonic() + LOCK, begun=True)
        self.job = job
        self.running = asyncio.run_coroutine_threadsafe(self._live(held), self.hands.loop)
        self.running.add_done_callback(lambda _: done(self))

    def sweep(self, saga_key: str, done: Callable[[Life], None]) -> None:
        """Have it settle what it has open of a saga; `done` is called when nothing more comes."""
        self.job = None
        self.running = asyncio.run_coroutine_threadsafe(self._sweep(saga_key), self.hands.loop)
        self.running.add_done_callback(lambda _: done(self))

    def end(self) -> None:
        """Die, on whichever of its threads has got here.

        Raises:
            DiedError: always.
        """
        self.is_over = True
        if self._task:
            self.hands.loop.call_soon_threadsafe(self._task.cancel)
        raise DiedError

    async def _live(self, held: HeldJob) -> None:
        _life.set(self)
        self._task = asyncio.current_task()
        await self._handler.handle(held)
        await self._marks.flush()

    async def _sweep(self, saga_key: str) -> None:
        _life.set(self)
        self._task = asyncio.current_task()
        settle = partial(copy_context().run, self._reconciler.settle, saga_key)
        await asyncio.get_running_loop().run_in_executor(self.hands.pool, settle)

    def _probe(self, commands: JobCommands, job: JobKey) -> Presence:
        asked = commands.presence(job, timedelta(seconds=LOCK))
        return asyncio.run_coroutine_threadsafe(asked, self.hands.loop).result()

    async def _count_report(self, ledger: Ledger, row: int, job: JobKey) -> None:
        count = partial(copy_context().run, ledger.report_again, row, job)
        await asyncio.get_running_loop().run_in_executor(self.hands.pool, count)


def _at_once(_seconds: float) -> None:
    """Wait for nothing: what is waited for has happened, or happens by a schedule."""


class Watch:
    """What happens to lives; by default nothing."""

    def reached(self, life: Life, point: Point) -> None:
        """Hear of a point, before it's passed."""

    def command(self, life: Life, method: str, send: Callable[[], StatusCode]) -> StatusCode:
        """Hear of a command; `send` carries it out. Return what the life is told."""
        return send()

    def commit(self, life: Life, commit: Callable[[], None]) -> None:
        """Hear of a COMMIT; `commit` carries it out."""
        commit()


_life: Final[ContextVar[Life | None]] = ContextVar("life", default=None)
"""Whose code this is; a life's threads inherit it."""


def hook(point: Point, _job: JobKey | None) -> None:
    """Tell a life's watch how far it has got; the dead get no further."""
    life = _life.get()
    if life is None:
        return
    if life.is_over:
        raise DiedError
    life.watch.reached(life, point)


@contextmanager
def commits_watched(store: Store) -> Iterator[None]:
    """Tell lives' watches of each COMMIT that the driver is about to send."""
    dialect, sends = store.engine.dialect, store.engine.dialect.do_commit

    def do_commit(connection: Any) -> None:
        if _has_been_sent(connection):
            sends(connection)
        else:
            _watched(partial(sends, connection))

    dialect.do_commit = do_commit  # type: ignore[method-assign]
    try:
        yield
    finally:
        dialect.do_commit = sends  # type: ignore[method-assign]


@contextmanager
def lines_watched() -> Iterator[None]:
    """Tell them of PostgreSQL's COMMITs that travel with what has waited for them."""
    sends = Line.commit

    def commit(line: Line) -> None:
        if line._waiting and _life.get():
            _watched(partial(sends, line))
        else:
            sends(line)

    Line.commit = commit  # type: ignore[method-assign]
    try:
        yield
    finally:
        Line.commit = sends  # type: ignore[method-assign]


def _has_been_sent(connection: Any) -> bool:
    """Say whether what psycopg is asked to commit went over the line already."""
    libpq = getattr(connection, "pgconn", None)
    return libpq is not None and libpq.transaction_status == TransactionStatus.IDLE


def _watched(commit: Callable[[], None]) -> None:
    life = _life.get()
    if life is None:
        raise AssertionError("a commit on a thread that doesn't know whose it is: no hook there")
    life.watch.commit(life, commit)


class _Stub:
    """The gateway's stub, as far as a worker speaks of jobs."""

    def __init__(self, life: Life) -> None:
        self._life = life

    async def CompleteJob(self, request: Any, timeout: float) -> None:  # noqa: ASYNC109, N802
        self._say("CompleteJob", self._engine.complete, request.jobKey, request.variables)

    async def ThrowError(self, request: Any, timeout: float) -> None:  # noqa: ASYNC109, N802
        self._say("ThrowError", self._engine.throw, request.jobKey, request.errorCode)

    async def FailJob(self, request: Any, timeout: float) -> None:  # noqa: ASYNC109, N802
        said = (request.retries, request.errorMessage, request.retryBackOff)
        self._say("FailJob", self._engine.fail, request.jobKey, *said)

    async def UpdateJobTimeout(self, request: Any, timeout: float) -> None:  # noqa: ASYNC109, N802
        self._say("UpdateJobTimeout", self._engine.touch, request.jobKey)

    @property
    def _engine(self) -> SimulatedEngine:
        return self._life.engine

    def _say(self, method: str, act: Callable[..., StatusCode], *given: Any) -> None:
        if self._life.is_over:
            raise DiedError
        code = self._life.watch.command(self._life, method, partial(act, *given))
        if code is not StatusCode.OK:
            none = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(code, none, none, f"simulated: {code.name}")
