"""One job from its arrival to its report."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from loguru import logger

from sagaworks.errors import Halt, Retry
from sagaworks.history import HistoryUnavailable
from sagaworks.ledger.answers import Answer, Say
from sagaworks.ledger.call import Delivery
from sagaworks.ledger.faults import CommitUnknownError, DatabaseUnavailableError
from sagaworks.ledger.points import Point, reached
from sagaworks.observe.metrics import WorkerMetrics
from sagaworks.runtime.backoff import grown
from sagaworks.runtime.crew import Crew, ExpiredError
from sagaworks.runtime.deliveries import delivery_of
from sagaworks.runtime.locks import HeldJob
from sagaworks.runtime.reports import MARGIN, Reports
from sagaworks.saga import JobKey

_OUTAGE_PAUSE: Final = 2.0
"""Seconds, at most, for which a job that can't be carried out now is kept before it's handed back.

Not the engine's back-off: 8.6.0 forgets the end of one in about 120 (measured, decision 0071).
"""

_SHORT: Final = 2.0
"""Seconds up to which a pause of the worker's own choice isn't left to the engine either."""

_REMEMBERED: Final = 10_000


class Handler:
    """Has jobs carried out, and reports what came of them."""

    def __init__(  # noqa: PLR0913, PLR0917  where the parts of a worker meet
        self,
        crew: Crew,
        reports: Reports,
        metrics: WorkerMetrics,
        tenant: str,
        database_failed: Callable[[str], None],
        leave_place: Callable[[HeldJob], None],
    ) -> None:
        """Keep the parts.

        Args:
            database_failed: told why, so that readiness shows it.
            leave_place: gives a job's place to another one, while it only waits.
        """
        self._crew = crew
        self._reports = reports
        self._metrics = metrics
        self._tenant = tenant
        self._attempts: OrderedDict[JobKey, int] = OrderedDict()
        self._database_failed = database_failed
        self._leave_place = leave_place
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Hand back at once what is kept for a moment, now and from now on."""
        self._stopping.set()

    async def handle(self, held: HeldJob) -> None:
        """Carry out one delivery; whatever happens, the job is answered or left to its lock."""
        reached(Point.RECEIVED, held.key)
        attempt = self._count_attempt(held.key)
        named = {"step": held.task.name, "attempt": attempt, "job": held.key}
        try:
            delivery = delivery_of(held.task, held.job, attempt=attempt, tenant=self._tenant)
        except Halt as halt:
            with logger.contextualize(**named):
                await self._halt(held, halt)
            return
        with logger.contextualize(**named, saga=delivery.arrival.saga_key):
            await self._carry_out(held, delivery, attempt)

    async def _carry_out(self, held: HeldJob, delivery: Delivery, attempt: int) -> None:
        try:
            answer = await self._crew.carry_out(held, delivery)
        except Halt as halt:
            await self._halt(held, halt)
        except Retry as retry:
            await self._retry(held, retry, attempt)
        except ExpiredError:
            self._tell(held, "expired", "its lock ran out while it waited", "DEBUG")
        except DatabaseUnavailableError as error:
            self._database_failed(str(error))
            await self._hand_back(held, f"the database can't work now: {error}")
        except HistoryUnavailable as error:
            await self._hand_back(held, f"history must decide: {error}")
        except CommitUnknownError as error:
            self._tell(held, "unknown", f"COMMIT failed, saying nothing: {error}", "WARNING")
        except Exception as error:  # noqa: BLE001  the one place: a step's bug must be answered
            await self._failed(held, error, attempt)
        else:
            await self._answered(held, answer)

    async def _answered(self, held: HeldJob, answer: Answer) -> None:
        reached(Point.COMMITTED, held.key)
        self._metrics.outcomes.labels(held.task.name, answer.outcome).inc()
        level = "WARNING" if answer.say is Say.HALT else "INFO"
        self._tell(held, answer.outcome, answer.code or answer.message, level)
        if answer.say is not Say.NOTHING:
            await self._reports.answer(held, answer)
        if answer.say in (Say.COMPLETE, Say.THROW):
            self._attempts.pop(held.key, None)

    async def _halt(self, held: HeldJob, halt: Halt) -> None:
        self._tell(held, "halted", halt.why, "WARNING")
        await self._reports.fail(held, 0, halt.why)

    async def _retry(self, held: HeldJob, retry: Retry, attempt: int) -> None:
        self._tell(held, "retry", retry.why)
        if retry.after is None:
            await self._fail_later(held, retry.why, attempt)
        else:
            await self._reports.fail(held, held.job.retries - 1, retry.why, retry.after)

    async def _hand_back(self, held: HeldJob, why: str) -> None:
        self._tell(held, "handed_back", why, "WARNING")
        # In its place: the worker mustn't go through the whole queue.
        await self._wait_with(held, grown(1, first=_OUTAGE_PAUSE))
        await self._reports.fail(held, held.job.retries, why)

    async def _fail_later(self, held: HeldJob, why: str, attempt: int) -> None:
        """Fail the job after a pause that grows: a short one is waited here, the others there."""
        pause, retries = grown(attempt), held.job.retries - 1
        if pause <= _SHORT and retries > 0:
            # Others of the service may do better.
            self._leave_place(held)
            await self._wait_with(held, pause)
            pause = 0.0
        await self._reports.fail(held, retries, why, timedelta(seconds=pause))

    async def _wait_with(self, held: HeldJob, seconds: float) -> None:
        left = max(0.0, held.left - MARGIN)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, left / 2)):
                await self._stopping.wait()

    async def _failed(self, held: HeldJob, error: Exception, attempt: int) -> None:
        self._metrics.jobs.labels(held.task.name, "failed").inc()
        logger.bind(outcome="failed").opt(exception=error).error("{}", type(error).__name__)
        why = f"{type(error).__name__} in {held.task.job_type}; the worker's log has the traceback"
        await self._fail_later(held, why, attempt)

    def _tell(self, held: HeldJob, outcome: str, what: str = "", level: str = "INFO") -> None:
        self._metrics.jobs.labels(held.task.name, outcome).inc()
        logger.log(level, "{}", what, outcome=outcome)

    def _count_attempt(self, job: JobKey) -> int:
        self._attempts[job] = self._attempts.pop(job, 0) + 1
        if len(self._attempts) > _REMEMBERED:
            self._attempts.popitem(last=False)
        return self._attempts[job]
