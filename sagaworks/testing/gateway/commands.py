"""What workers say about a job, and what the simulated engine makes of it."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.testing.gateway.changes import Changes
from sagaworks.testing.gateway.deliveries import Deliveries
from sagaworks.testing.gateway.demands import Refused, demand, not_found, object_of
from sagaworks.testing.gateway.jobs import Incident, JobState, ScriptedJob


class JobCommands:
    """Complete, fail, throw, extend, set retries; each takes a request and returns the reply.

    Args:
        jobs: every job, by key.
        deliveries: where a job that isn't gone comes back.
        changes: told when a lock is extended.
    """

    def __init__(
        self, jobs: Mapping[int, ScriptedJob], deliveries: Deliveries, changes: Changes
    ) -> None:
        self._jobs = jobs
        self._deliveries = deliveries
        self._changes = changes

    def complete(self, request: pb.CompleteJobRequest) -> pb.CompleteJobResponse:
        """Complete a job: it is gone, its answer kept."""
        answer = object_of(request.variables)
        job = self._reportable(request.jobKey, "complete")
        job.answer = answer
        self._deliveries.leave(job, JobState.COMPLETED)
        return pb.CompleteJobResponse()

    def fail(self, request: pb.FailJobRequest) -> pb.FailJobResponse:
        """Fail a job: it comes again at once or after the back-off, or waits in an incident."""
        object_of(request.variables)
        job = self._reportable(request.jobKey, "fail")
        job.failures.append(request)
        job.retries = request.retries
        if request.retries <= 0:
            message = request.errorMessage or "No more retries left."
            job.incident = Incident("JOB_NO_RETRIES", message)
        self._deliveries.leave(job, JobState.FAILED)
        if request.retries > 0:
            self._offer_again(job, request.retryBackOff)
        return pb.FailJobResponse()

    def throw(self, request: pb.ThrowErrorRequest) -> pb.ThrowErrorResponse:
        """Throw an error: caught, and the job is gone; or an incident, and it stays."""
        object_of(request.variables)
        job = self._reportable(request.jobKey, "throw an error for")
        job.thrown = request
        if job.catches is not None and request.errorCode not in job.catches:
            message = f"{request.errorMessage} (nothing catches '{request.errorCode}')"
            job.incident = Incident("UNHANDLED_ERROR_EVENT", message)
        self._deliveries.leave(job, JobState.ERROR_THROWN)
        return pb.ThrowErrorResponse()

    def extend(self, request: pb.UpdateJobTimeoutRequest) -> pb.UpdateJobTimeoutResponse:
        """Let a lock last from now on; FAILED_PRECONDITION for a job that nobody holds."""
        job = self._there(request.jobKey, "update the timeout of")
        if job.state is not JobState.ACTIVATED:
            message = f"Expected to update the timeout of job '{job.key}', but it is not active"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, message)
        self._deliveries.lock(job, request.timeout)
        self._changes.note()
        return pb.UpdateJobTimeoutResponse()

    def set_retries(self, request: pb.UpdateJobRetriesRequest) -> pb.UpdateJobRetriesResponse:
        """Set a job's retries; its incident stays until it's resolved."""
        demand(request.retries > 0, "retries to be greater than zero")
        self._there(request.jobKey, "update the retries of").retries = request.retries
        return pb.UpdateJobRetriesResponse()

    def _offer_again(self, job: ScriptedJob, back_off_ms: int) -> None:
        if back_off_ms > 0:
            self._deliveries.come_back_after(job, back_off_ms)
        else:
            self._deliveries.come_back(job)

    def _reportable(self, job_key: int, verb: str) -> ScriptedJob:
        """Return the job if a worker may report on it, its lock ended or not.

        Raises:
            Refused: NOT_FOUND for one that is gone, FAILED_PRECONDITION for a failed one.
        """
        job = self._there(job_key, verb)
        if job.state not in {JobState.ACTIVATABLE, JobState.ACTIVATED}:
            found = f"but it is in state '{job.state.name}'"
            raise Refused(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"Expected to {verb} job with key '{job_key}', {found}",
            )
        return job

    def _there(self, job_key: int, verb: str) -> ScriptedJob:
        job = self._jobs.get(job_key)
        if job is None or job.is_gone:
            not_found(f"Expected to {verb} job with key '{job_key}', but no such job was found")
        return job
