"""The engine's commands for one job, each call answered by a status code."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import grpc
from grpc import StatusCode
from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.ledger.decide import Presence
from sagaworks.observe.metrics import WorkerMetrics
from sagaworks.runtime.gateway import reason_of
from sagaworks.saga import JobKey

_LONGEST_MESSAGE: Final = 2_000
"""Characters of an error message; an incident shows it, nobody needs more."""

NOT_CARRIED_OUT: Final = frozenset({StatusCode.RESOURCE_EXHAUSTED})
"""Codes that say for certain that nothing has happened."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the engine said to a command."""

    code: StatusCode
    reason: str = ""


_OK: Final = Reply(StatusCode.OK)


class JobCommands:
    """Complete, fail, throw, extend: over pyzeebe's stub, once each; `Reports` decides on more."""

    def __init__(self, stub: Any, metrics: WorkerMetrics) -> None:  # noqa: ANN401  pyzeebe's stub
        """Send over `stub`; count replies in `metrics`."""
        self._stub = stub
        self._metrics = metrics

    def complete(self, job: JobKey, variables: bytes, *, seconds: float) -> Awaitable[Reply]:
        """Complete the job with a JSON object of variables."""
        request = pb.CompleteJobRequest(jobKey=job, variables=variables.decode())
        return self._send("CompleteJob", request, seconds)

    def throw(self, job: JobKey, code: str, message: str, *, seconds: float) -> Awaitable[Reply]:
        """Throw a BPMN error."""
        request = pb.ThrowErrorRequest(jobKey=job, errorCode=code, errorMessage=_cut(message))
        return self._send("ThrowError", request, seconds)

    def fail(
        self, job: JobKey, retries: int, message: str, back_off: float, *, seconds: float
    ) -> Awaitable[Reply]:
        """Fail the job, to come again after `back_off` seconds; 0 retries raise an incident."""
        request = pb.FailJobRequest(
            jobKey=job,
            retries=retries,
            errorMessage=_cut(message),
            retryBackOff=round(back_off * 1000),
        )
        return self._send("FailJob", request, seconds)

    def extend(self, job: JobKey, lock: timedelta, *, seconds: float) -> Awaitable[Reply]:
        """Let the job's lock end `lock` from now."""
        request = pb.UpdateJobTimeoutRequest(jobKey=job, timeout=lock // timedelta(milliseconds=1))
        return self._send("UpdateJobTimeout", request, seconds)

    async def presence(self, job: JobKey, lock: timedelta) -> Presence:
        """Ask whether a job is still there, until somebody answers."""
        while True:
            reply = await self.extend(job, lock, seconds=5.0)
            if reply.code is StatusCode.OK:
                return Presence.HELD
            if reply.code is StatusCode.NOT_FOUND:
                return Presence.GONE
            if reply.code is StatusCode.FAILED_PRECONDITION:
                return Presence.UNHELD
            await asyncio.sleep(0.2)

    async def _send(self, method: str, request: object, seconds: float) -> Reply:
        try:
            await getattr(self._stub, method)(request, timeout=max(0.1, seconds))
            reply = _OK
        except grpc.aio.AioRpcError as error:
            reply = Reply(error.code(), reason_of(error))
        self._metrics.job_reports.labels(method, reply.code.name).inc()
        return reply


def _cut(message: str) -> str:
    # What isn't Unicode can't be sent; the job must be answered all the same.
    message = message.encode(errors="replace").decode()
    return message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…"
