"""The jobs that a test offers and what it does to them; the gateway without its server."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from types import EllipsisType

from sagaworks.testing.gateway.changes import Changes
from sagaworks.testing.gateway.deliveries import Deliveries
from sagaworks.testing.gateway.jobs import FIRST_KEY, JobState, ScriptedJob


class Simulation:
    """The simulated engine, from the side of a test.

    Attributes:
        jobs: every job offered, by key.
        keys: where new keys come from.
        changes: told of whatever happens.
        deliveries: how jobs come to workers.
    """

    def __init__(self, clock_ahead: float) -> None:
        self.jobs: dict[int, ScriptedJob] = {}
        self.keys = itertools.count(FIRST_KEY)
        self.changes = Changes(self.story)
        self.deliveries = Deliveries(self.changes, clock_ahead)
        self._orders = itertools.count(1)

    def offer(  # noqa: PLR0913  a job has that many sides, each with a default
        self,
        job_type: str,
        variables: Mapping[str, object] | None = None,
        *,
        saga_key: str | EllipsisType | None = ...,
        process_instance: int | None = None,
        element_id: str | None = None,
        element_instance: int | None = None,
        retries: int = 3,
        headers: Mapping[str, str] | None = None,
        catches: Iterable[str] | None = None,
        key: int | None = None,
    ) -> ScriptedJob:
        """Create a job, as a token that reaches its task would.

        Args:
            job_type: ``inventory.hold_stock``; the element is named like its last part.
            variables: what the job sees, JSON-ready.
            saga_key: the business key; a new one unless given, None leaves the variable out.
            process_instance: a new one unless given, as `element_instance` and `key`; a restored
                engine gives old keys to new jobs.
            element_id: the task in the diagram.
            element_instance: the execution of that task.
            retries: as in the diagram.
            headers: the task's own.
            catches: error codes that the diagram would catch; None catches every code.
            key: the job's.
        """
        given = {**self._business_key(saga_key), **(variables or {})}
        job = ScriptedJob(
            changes=self.changes,
            key=key or next(self.keys),
            type=job_type,
            variables=given,
            process_instance=process_instance or next(self.keys),
            element_id=element_id or job_type.rpartition(".")[2],
            element_instance=element_instance or next(self.keys),
            retries=retries,
            headers=dict(headers or {}),
            catches=None if catches is None else frozenset(catches),
        )
        self.jobs[job.key] = job
        self.deliveries.release(job)
        return job

    def cancel(self, job: ScriptedJob) -> None:
        """Take the job away, as an interrupting event or an operator would."""
        self.deliveries.leave(job, JobState.CANCELED)

    def redeliver(self, job: ScriptedJob) -> None:
        """Hand the job out again now, whether or not its lock still holds."""
        self.deliver_simultaneously(job, 1)

    def deliver_simultaneously(self, job: ScriptedJob, times: int) -> None:
        """Hand the job out `times` times at once: to the open streams, or to the next polls."""
        self.deliveries.withdraw(job)
        for _ in range(times):
            self.deliveries.release(job)

    def resolve(self, job: ScriptedJob, *, retries: int = 1) -> None:
        """Resolve the job's incident as an operator would: new retries, and the job comes again.

        Raises:
            ValueError: it has none.
        """
        if job.incident is None:
            raise ValueError(f"{job} has no incident")
        job.incident = None
        job.retries = retries
        self.deliveries.come_back(job)

    async def until(
        self,
        condition: Callable[[], object],
        *,
        timeout: float = 10.0,  # noqa: ASYNC109  what is awaited is named in the error
        what: str = "the condition",
    ) -> None:
        """Wait until `condition` holds; it's looked at after each change here and each 20 ms.

        Raises:
            TimeoutError: naming `what`, with all that was called.
        """
        await self.changes.until(condition, timeout=timeout, what=what)

    def open_streams(self, job_type: str) -> int:
        """Return how many streams of a job type are open."""
        return len(self.deliveries.streams.of(job_type))

    def waiting(self, job_type: str) -> int:
        """Return how many deliveries wait for a poll."""
        return self.deliveries.waiting(job_type)

    def unsent(self, job_type: str) -> int:
        """Return how many jobs are pushed but held back by the network's flow control."""
        return sum(len(stream.pushed) for stream in self.deliveries.streams.of(job_type))

    def locked(self, job_type: str) -> list[ScriptedJob]:
        """Return the jobs of a type that a worker holds."""
        held = [job for job in self.jobs.values() if job.state is JobState.ACTIVATED]
        return [job for job in held if job.type == job_type]

    def story(self) -> str:
        """Tell what happened, for a person who reads a failed test."""
        return "\n".join(f"  {job}" for job in self.jobs.values())

    def _business_key(self, saga_key: str | EllipsisType | None) -> dict[str, str]:
        if saga_key is None:
            return {}
        return {"saga_key": f"order-{next(self._orders)}" if saga_key is ... else saga_key}
