"""A worker's threads, and the jobs in hand that wait for one of them."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from loguru import logger

from sagaworks.ledger.answers import Answer
from sagaworks.ledger.call import Delivery
from sagaworks.ledger.group import BrokenGroupError, Job, can_share
from sagaworks.ledger.protocol import Ledger
from sagaworks.observe.metrics import WorkerMetrics
from sagaworks.runtime.locks import HeldJob
from sagaworks.runtime.overlap import Overlap
from sagaworks.runtime.pace import Pace
from sagaworks.runtime.patience import Patience
from sagaworks.step import Compensation, Step

_AHEAD: Final = 0.25
"""Seconds that a job may be expected to wait in hand for a thread; the others stay outside."""

_AHEAD_AT_MOST: Final = 3
"""Jobs that may wait in hand, for each thread."""

_LOOK: Final = 0.001
"""Seconds from one look at the jobs in hand to the next, at least."""


class ExpiredError(Exception):
    """The job's lock has run out while it waited; the engine gives it to somebody else."""


@dataclass(slots=True, eq=False)
class _Waiting:
    held: HeldJob
    delivery: Delivery
    answer: asyncio.Future[Answer]
    context: Context = field(default_factory=copy_context)
    alone: bool = False
    short: bool = False
    since: float = field(default_factory=time.monotonic)
    running: asyncio.Task[list[Answer | None]] | None = None


Running = Future[list[Answer | None]]
"""A hand on its thread."""


class Crew:
    """Carries out jobs on threads: each at once while a thread is free, in groups under backlog.

    A job of an ``async def`` counts as one thread, and runs in the event loop.

    Args:
        awaiting: carries out those, where the service has any.
        pool: has `threads` threads.
        group: how many jobs of one step may share a transaction; below 2, none do.
        patience: how long a short job may wait for others; none by default.
    """

    def __init__(  # noqa: PLR0913, PLR0917  where the parts of a worker meet
        self,
        ledger: Ledger,
        awaiting: Ledger | None,
        pool: Executor,
        threads: int,
        group: int,
        metrics: WorkerMetrics,
        patience: Patience | None = None,
    ) -> None:
        """Begin with all threads free."""
        self._ledger = ledger
        self._awaiting = awaiting
        self._pool = pool
        self._threads = threads
        self._group = group
        self._metrics = metrics
        self._patience = patience or Patience()
        self._free = threads
        self._short = 0
        self._look: asyncio.TimerHandle | None = None
        self._waiting: deque[_Waiting] = deque()
        self._done: deque[tuple[list[_Waiting], float, Running]] = deque()
        self._coming = False
        self._paces: defaultdict[str, Pace] = defaultdict(partial(Pace, group))
        self._overlaps: defaultdict[str, Overlap] = defaultdict(Overlap)
        self._all = Pace(group)

    @property
    def room(self) -> int:
        """How many jobs the worker should have in hand: a backlog, but no longer than it's short.

        With jobs of ten seconds none may wait here, where no other worker can take them.
        """
        if self._group < 2:  # noqa: PLR2004  nothing to gather
            return self._threads
        ahead = self._threads * min(_AHEAD_AT_MOST, self._all.fitting(_AHEAD))
        return self._threads + int(ahead)

    async def carry_out(self, held: HeldJob, delivery: Delivery) -> Answer:
        """Carry out a job as soon as a thread is free; return its committed answer.

        Raises:
            ExpiredError: it never began.
            Exception: whatever `Ledger.run` raises.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        delivery = replace(delivery, took=partial(self._took, held.task.name))
        job = _Waiting(held, delivery, answer)
        self._waiting.append(job)
        self._go_on()
        try:
            return await answer
        except asyncio.CancelledError:
            # A thread can't be stopped; what awaits can, and rolls back.
            if job.running:
                job.running.cancel()
            raise

    def _go_on(self) -> None:
        while self._free and (first := self._first()):
            hand = self._hand_of(first)
            if hand:
                self._begin(hand)
        if self._free and self._waiting:
            self._look_again_in(min(self._due_in(job) for job in self._waiting))

    def _due_in(self, job: _Waiting) -> float:
        """Return in how many seconds a short job may begin, if nothing else happens."""
        waited = time.monotonic() - job.since
        patience = self._patience.seconds
        return (patience if waited < patience else _AHEAD) - waited

    def _look_again_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if self._look and self._look.when() <= due:
            return
        if self._look:
            self._look.cancel()
        self._look = loop.call_later(max(_LOOK, seconds), self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self._go_on()

    def _first(self) -> _Waiting | None:
        """Return whose turn it is; a short job may wait for company."""
        waits: set[str] = set()
        for job in self._waiting:
            name = job.held.task.name
            # The oldest of a task comes first: where it may wait, so may those behind it.
            if job.alone or (name not in waits and not self._may_wait(job)):
                self._waiting.remove(job)
                return job
            waits.add(name)
        return None

    def _may_wait(self, job: _Waiting) -> bool:
        if not self._is_short(job):
            return False
        waited = time.monotonic() - job.since
        if self._short >= self._overlaps[job.held.task.name].threads:
            return waited < _AHEAD
        return waited < self._patience.seconds and not self._is_group(job.held.task)

    def _is_group(self, task: Step[..., Any] | Compensation[Any]) -> bool:
        """Say whether as many wait as may go together."""
        return sum(1 for _ in self._alike(task)) >= self._paces[task.name].portion

    def _alike(self, task: Step[..., Any] | Compensation[Any]) -> Iterator[_Waiting]:
        """Return the waiting jobs of a task that may go together, the oldest first."""
        return (job for job in self._waiting if job.held.task is task and not job.alone)

    def _is_short(self, job: _Waiting) -> bool:
        task = job.held.task
        return not job.alone and can_share(task) and self._paces[task.name].portion > 1

    def _hand_of(self, first: _Waiting) -> list[_Waiting]:
        first.short = self._is_short(first)
        task = first.held.task
        hand = [first]
        if self._waiting and not first.alone and can_share(task):
            more = self._paces[task.name].portion - 1
            hand += [job for job, _ in zip(self._alike(task), range(more), strict=False)]
            for job in hand[1:]:
                self._waiting.remove(job)
        return [job for job in hand if _still_wanted(job)]

    def _begin(self, hand: list[_Waiting]) -> None:
        self._free -= 1
        self._short += hand[0].short
        for job in hand:
            job.held.begun = True
        self._metrics.group_jobs.labels(hand[0].held.task.name).observe(len(hand))
        began = time.perf_counter()
        if hand[0].held.task.is_async:
            self._awaited(hand[0]).add_done_callback(partial(self._ended, hand, began))
        else:
            over = partial(self._over, asyncio.get_running_loop(), hand, began)
            self._on_a_thread(hand).add_done_callback(over)

    def _on_a_thread(self, hand: list[_Waiting]) -> Running:
        work = partial(self._alone, hand[0]) if len(hand) == 1 else partial(self._together, hand)
        return self._pool.submit(self._overlaps[hand[0].held.task.name].measured, work)

    def _over(
        self,
        loop: asyncio.AbstractEventLoop,
        hand: list[_Waiting],
        began: float,
        running: Running,
    ) -> None:
        """Tell the event loop, on the thread that has ended; once for all that end meanwhile."""
        self._done.append((hand, began, running))
        if not self._coming and not loop.is_closed():
            self._coming = True
            loop.call_soon_threadsafe(self._take_done)

    def _take_done(self) -> None:
        # Before the first is taken: what is added from now on is told of again.
        self._coming = False
        while self._done:
            self._ended(*self._done.popleft())

    def _awaited(self, job: _Waiting) -> asyncio.Future[list[Answer | None]]:
        # Only a service with such tasks needs the extra `async`.
        from sagaworks.ledger import bridge  # noqa: PLC0415

        assert self._awaiting is not None  # noqa: S101  the worker made it for this task
        run = partial(self._awaiting.run, job.held.task, job.delivery, job.held.held)
        work: Callable[[], list[Answer | None]] = lambda: [run()]  # noqa: E731
        job.running = asyncio.create_task(bridge.run(work), context=job.context)
        return job.running

    def _alone(self, job: _Waiting) -> list[Answer | None]:
        run = partial(self._ledger.run, job.held.task, job.delivery, job.held.held)
        return [job.context.run(run)]

    def _together(self, hand: list[_Waiting]) -> list[Answer | None]:
        jobs = [Job(job.delivery, job.held.held, job.context) for job in hand]
        return self._ledger.run_group(hand[0].held.task, jobs)

    def _ended(
        self,
        hand: list[_Waiting],
        began: float,
        running: Running | asyncio.Future[list[Answer | None]],
    ) -> None:
        self._free += 1
        self._short -= hand[0].short
        self._all.measure((time.perf_counter() - began) / len(hand))
        if running.cancelled():
            self._go_on()
            return
        error = running.exception()
        if isinstance(error, BrokenGroupError):
            self._broke(hand, error)
        elif error:
            for job in hand:
                _answer(job, error)
        else:
            self._told(hand, running.result())
        self._go_on()

    def _told(self, hand: list[_Waiting], answers: list[Answer | None]) -> None:
        self._paces[hand[0].held.task.name].went_well()
        for job, answer in zip(hand, answers, strict=True):
            if answer:
                _answer(job, answer)
            else:
                self._again_alone(job)

    def _broke(self, hand: list[_Waiting], error: BrokenGroupError) -> None:
        task = hand[0].held.task
        logger.debug("{} jobs of {} run alone: {}", len(hand), task.name, error)
        self._metrics.groups_broken.labels(task.name).inc()
        self._paces[task.name].broke()
        for job in reversed(hand):
            self._again_alone(job)

    def _again_alone(self, job: _Waiting) -> None:
        job.alone = True
        self._waiting.appendleft(job)

    def _took(self, task: str, seconds: float) -> None:
        self._paces[task].measure(seconds)
        self._metrics.step_seconds.labels(task).observe(seconds)


def _still_wanted(job: _Waiting) -> bool:
    """Say whether the job is still to be begun; tell who waits for it if its lock has run out."""
    if job.answer.done():
        return False
    if job.held.left <= 0 and not job.held.begun:
        _answer(job, ExpiredError())
        return False
    return True


def _answer(job: _Waiting, answer: Answer | BaseException) -> None:
    if job.answer.done():
        # The worker has given the job up.
        return
    if isinstance(answer, BaseException):
        job.answer.set_exception(answer)
    else:
        job.answer.set_result(answer)
