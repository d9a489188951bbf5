"""How jobs come to workers and come back: waiting, pushed or polled, locked for a while."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from typing import Final

from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.testing.gateway.changes import Changes
from sagaworks.testing.gateway.demands import TENANT, demand, demand_tenant
from sagaworks.testing.gateway.jobs import FIRST_KEY, JobState, ScriptedJob
from sagaworks.testing.gateway.streams import Stream, Streams

_LONG_POLL: Final = 10.0
"""Seconds that a poll with requestTimeout 0 waits: the gateway's default."""


class Deliveries:
    """Hands jobs out, to the open streams or to the next polls.

    Args:
        changes: told of whatever happens to a job here.
        clock_ahead: seconds that the engine's wall clock, and so a deadline, is ahead.

    Attributes:
        streams: the open ones.
    """

    def __init__(self, changes: Changes, clock_ahead: float) -> None:
        self.streams = Streams()
        self._changes = changes
        self._clock_ahead = clock_ahead
        self._waiting: dict[str, list[ScriptedJob]] = defaultdict(list)

    def waiting(self, job_type: str) -> int:
        """Return how many deliveries wait for a poll."""
        return len(self._waiting[job_type])

    def release(self, job: ScriptedJob) -> None:
        """Hand the job to a stream, or keep it for a poll: the engine pushes what is new only."""
        stream = self.streams.next_of(job.type)
        if stream:
            self.lock(job, stream.request.timeout)
            stream.push(job)
        else:
            self._waiting[job.type].append(job)
        self._changes.note()

    def withdraw(self, job: ScriptedJob) -> None:
        """Let no poll have the job."""
        left = [other for other in self._waiting[job.type] if other is not job]
        self._waiting[job.type] = left

    def leave(self, job: ScriptedJob, state: JobState) -> None:
        """Take the job out of the workers' reach, into `state`."""
        job.disarm()
        self.withdraw(job)
        job.state = state
        self._changes.note()

    def lock(self, job: ScriptedJob, milliseconds: int) -> None:
        """Let a worker have the job from now on, for so long."""
        job.state = JobState.ACTIVATED
        job.lock_ends = time.monotonic() + milliseconds / 1000
        self.come_back_after(job, milliseconds)

    def come_back_after(self, job: ScriptedJob, milliseconds: int) -> None:
        """Hand the job out again then, and no sooner."""
        job.disarm()
        loop = asyncio.get_running_loop()
        job.timer = loop.call_later(milliseconds / 1000, self.come_back, job)

    def come_back(self, job: ScriptedJob) -> None:
        """Hand the job out again now."""
        job.state = JobState.ACTIVATABLE
        self.release(job)

    async def poll(self, request: pb.ActivateJobsRequest) -> list[pb.ActivatedJob]:
        """Hand out waiting jobs; with none, wait for one as long as the request says."""
        demand(request.type, "type to be present")
        demand(request.worker, "worker to be present")
        demand(request.timeout > 0, "timeout to be greater than zero")
        demand(request.maxJobsToActivate > 0, "maxJobsToActivate to be greater than zero")
        demand_tenant(request.tenantIds)
        ends = time.monotonic() + (request.requestTimeout / 1000 or _LONG_POLL)
        while not (jobs := self._take(request)) and (left := ends - time.monotonic()) > 0:
            await self._changes.next(left)
        return [self._delivered(job, request) for job in jobs]

    async def pushes(
        self, request: pb.StreamActivatedJobsRequest
    ) -> AsyncGenerator[pb.ActivatedJob, None]:
        """Push jobs that come up from now on; those that are there already wait for a poll."""
        demand(request.type, "type to be present")
        demand(request.timeout > 0, "timeout to be greater than zero")
        demand_tenant(request.tenantIds)
        stream = self.streams.open(request)
        self._changes.note()
        try:
            while True:
                yield self._delivered(await stream.first(), request)
                stream.pushed.popleft()
                self._changes.note()
        finally:
            self._close(stream)

    def _take(self, request: pb.ActivateJobsRequest) -> list[ScriptedJob]:
        waiting = self._waiting[request.type]
        taken = waiting[: request.maxJobsToActivate]
        del waiting[: request.maxJobsToActivate]
        for job in taken:
            self.lock(job, request.timeout)
        return taken

    def _delivered(
        self, job: ScriptedJob, request: pb.ActivateJobsRequest | pb.StreamActivatedJobsRequest
    ) -> pb.ActivatedJob:
        """Return the job as a worker gets it; its deadline is on the engine's wall clock."""
        job.deliveries += 1
        wanted = set(request.fetchVariable) or job.variables.keys()
        deadline = time.time() + job.lock_ends - time.monotonic() + self._clock_ahead
        return pb.ActivatedJob(
            key=job.key,
            type=job.type,
            processInstanceKey=job.process_instance,
            bpmnProcessId="scripted",
            processDefinitionVersion=1,
            processDefinitionKey=FIRST_KEY,
            elementId=job.element_id,
            elementInstanceKey=job.element_instance,
            customHeaders=json.dumps(job.headers),
            worker=request.worker,
            retries=job.retries,
            deadline=round(deadline * 1000),
            variables=json.dumps({k: v for k, v in job.variables.items() if k in wanted}),
            tenantId=TENANT,
        )

    def _close(self, stream: Stream) -> None:
        """Give back what was pushed and not sent, as the engine does when a push fails."""
        self.streams.close(stream)
        for job in stream.pushed:
            if job.state is JobState.ACTIVATED:
                self.come_back(job)
        self._changes.note()
