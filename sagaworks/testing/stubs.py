"""A step's stand-in: answers jobs by a script, without the service's code or database."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Self

import grpc
from pydantic import BaseModel
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from sagaworks.codec import to_json
from sagaworks.errors import Halt, Refusal, Retry, StepOutcome, words_of
from sagaworks.runtime.backoff import Backoff

_LOCK: Final = timedelta(seconds=15)
_POLL: Final = timedelta(seconds=10)
_CALL_SECONDS: Final = 10.0
_RETRY_AFTER: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Hang:
    """The job is taken and never answered.

    Attributes:
        lock: how long the engine keeps it for the stub, until it comes again. A worker that hangs
            extends its lock as long as it lives; one that dies doesn't.
    """

    lock: timedelta = timedelta(days=3650)


HANG: Final = Hang()
"""The answer of a stub that hangs for ever; ``Hang(lock)`` is that of a worker that has died."""

Variables = dict[str, Any]
Answer = BaseModel | Mapping[str, object] | StepOutcome | type[StepOutcome] | Hang | None
Script = Answer | Callable[[Variables], Answer]


@dataclass(slots=True)
class Stub:
    """One step's stand-in.

    Attributes:
        job_type: whose jobs it takes.
        calls: the variables of each job it was given, in order.
    """

    job_type: str
    script: deque[Script]
    calls: list[Variables] = field(default_factory=list)
    hanging: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, job_type: str, script: Sequence[Script]) -> Self:
        """Make the stand-in; without a script it completes each job."""
        return cls(job_type, deque(script or [None]))

    async def serve(self, address: str, lock: timedelta = _LOCK) -> None:
        """Take jobs for ever; until cancelled. A poll finds jobs that are older than it, too."""
        pause = Backoff(0.02, 1.0)
        poll = pb.ActivateJobsRequest(
            type=self.job_type,
            worker="stub",
            timeout=lock // timedelta(milliseconds=1),
            maxJobsToActivate=8,
            requestTimeout=_POLL // timedelta(milliseconds=1),
        )
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = GatewayStub(channel)
            while True:
                try:
                    async for batch in stub.ActivateJobs(poll, timeout=2 * _POLL.total_seconds()):
                        for job in batch.jobs:
                            await self._answer(stub, job)
                    pause.reset()
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(pause.next())

    async def _answer(self, stub: Any, job: Any) -> None:  # noqa: ANN401
        variables = json.loads(job.variables)
        self.calls.append(variables)
        try:
            answer = self._next(variables)
        except Exception as error:  # noqa: BLE001  the test's own function, shown in the incident
            said = traceback.format_exception_only(error)[-1].strip()
            answer = Halt(f"the stub of {self.job_type} raised {said}")
        if isinstance(answer, Hang):
            self.hanging.add(job.key)
        method, request = _request(job, answer)
        try:
            await getattr(stub, method)(request, timeout=_CALL_SECONDS)
        except grpc.aio.AioRpcError:
            return  # the job is gone: a timer or a cancel was faster

    def _next(self, variables: Variables) -> Answer:
        """Take the next answer of the script; the last one is given again and again."""
        answer = self.script.popleft() if len(self.script) > 1 else self.script[0]
        if callable(answer) and not isinstance(answer, type):
            return answer(variables)
        return answer


def _request(job: Any, answer: Answer) -> tuple[str, Any]:  # noqa: ANN401
    said = answer() if isinstance(answer, type) else answer
    match said:
        case Hang():
            millis = said.lock // timedelta(milliseconds=1)
            return "UpdateJobTimeout", pb.UpdateJobTimeoutRequest(jobKey=job.key, timeout=millis)
        case Refusal():
            refused = pb.ThrowErrorRequest(
                jobKey=job.key, errorCode=said.code, errorMessage=said.why
            )
            return "ThrowError", refused
        case Retry():
            return "FailJob", _failure(job, job.retries - 1, said.why, said.after or _RETRY_AFTER)
        case StepOutcome():
            return "FailJob", _failure(job, 0, said.why, timedelta(0))
        case _:
            variables = json.dumps(_variables(said))
            return "CompleteJob", pb.CompleteJobRequest(jobKey=job.key, variables=variables)


def _failure(job: Any, retries: int, why: str, after: timedelta) -> pb.FailJobRequest:  # noqa: ANN401
    return pb.FailJobRequest(
        jobKey=job.key,
        retries=retries,
        errorMessage=why,
        retryBackOff=after // timedelta(milliseconds=1),
    )


def _variables(answer: object) -> dict[str, Any]:
    """A fact is completed as one variable named after it, as a step completes it."""
    if answer is None:
        return {}
    if isinstance(answer, BaseModel):
        name = "_".join(words_of(type(answer).__name__))
        return {name: to_json(answer, place=name)}
    if isinstance(answer, Mapping):
        return {name: to_json(value, place=name) for name, value in answer.items()}
    raise TypeError(f"a stub answers with a fact, a refusal or variables, not {answer!r}")
