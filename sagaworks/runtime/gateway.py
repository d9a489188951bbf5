"""The engine's commands for everything but jobs: deploy, start, cancel, look."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from sagaworks.codec import Json
from sagaworks.errors import EngineError
from sagaworks.runtime.backoff import Backoff
from sagaworks.runtime.channel import open_channel
from sagaworks.saga import KEY_VARIABLE, JobKey, SagaKey
from sagaworks.settings import Settings

R = TypeVar("R")

CALL_SECONDS: Final = 10.0
"""The deadline of one call."""

TRANSIENT: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        # "Processing paused" comes as INTERNAL (measured).
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Codes after which the same command may be sent again."""

AWARE_WITHIN: Final = 15.0
"""Seconds from which on an engine that doesn't know its partition has something else."""

_UNAWARE: Final = "not yet aware"

DEFAULT_TENANT: Final = "<default>"
"""What the engine calls its only tenant; sending it to a gateway without tenancy is an error."""


HOUR: Final = timedelta(hours=1)

USER_TASK: Final = "io.camunda.zeebe:userTask"
"""The engine's own job type for what a person does."""

LOOKED_AT: Final = timedelta(seconds=1)
"""How long a person's task is locked by whoever looks for it; it can be completed nonetheless."""

MOST_AT_ONCE: Final = 500
"""Tasks in one answer; an answer of the engine holds 4 MB."""


class EngineUnreachableError(EngineError):
    """Nobody answered: the command may or may not have been carried out."""


class EngineBusyError(EngineError):
    """Backpressure: the command was not carried out, and may be sent again in a moment."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """One process as the engine keeps it."""

    process_id: str
    version: int
    key: int


@dataclass(frozen=True, slots=True)
class PersonsTask:
    """What a saga waits for a person to do.

    Attributes:
        element: its id in the diagram.
        business_key: the saga's; None where its variable isn't text.
    """

    job: JobKey
    element: str
    process_instance: SagaKey
    business_key: str | None


class Gateway:
    """Commands over pyzeebe's stub, each with a deadline of its own."""

    def __init__(self, channel: grpc.aio.Channel, settings: Settings) -> None:
        """Use an open channel."""
        # pyzeebe's stub is typed for the synchronous channel; over an aio channel its calls await.
        self.stub: Any = GatewayStub(channel)
        self._address = settings.engine_address()
        self._tenant = "" if settings.tenant == DEFAULT_TENANT else settings.tenant

    async def topology(self) -> str:
        """Return the engine's version.

        Raises:
            EngineError: nobody answers there.
        """
        found = await self._call("Topology", pb.TopologyRequest())
        return str(found.gatewayVersion)

    async def deploy(self, diagrams: Sequence[Path]) -> list[Deployed]:
        """Deploy the diagrams together; a diagram that hasn't changed keeps its version.

        An engine that has just become ready may not know its own partition for a moment, the longer
        the busier its machine (measured): that is waited for.

        Raises:
            EngineError: with the engine's own reason.
        """
        resources = [pb.Resource(name=path.name, content=path.read_bytes()) for path in diagrams]
        request = pb.DeployResourceRequest(resources=resources, tenantId=self._tenant)
        answer = await self._deploy_once_aware(request)
        deployed = (item.process for item in answer.deployments if item.HasField("process"))
        return [Deployed(p.bpmnProcessId, p.version, p.processDefinitionKey) for p in deployed]

    async def _deploy_once_aware(self, request: pb.DeployResourceRequest) -> Any:  # noqa: ANN401
        until, pause = time.monotonic() + AWARE_WITHIN, Backoff(0.05, 1.0)
        while True:
            try:
                return await self._call("DeployResource", request, seconds=3 * CALL_SECONDS)
            except EngineUnreachableError as error:
                if _UNAWARE not in str(error) or time.monotonic() > until:
                    raise
            await asyncio.sleep(pause.next())

    async def create(self, process_id: str, variables: Mapping[str, Json]) -> SagaKey:
        """Create an instance of the newest version; return its key.

        Raises:
            EngineUnreachableError: nobody answered; there may be an instance.
            EngineBusyError: not now.
            EngineError: the engine's reason.
        """
        request = pb.CreateProcessInstanceRequest(
            bpmnProcessId=process_id,
            version=-1,
            variables=json.dumps(dict(variables)),
            tenantId=self._tenant,
        )
        created = await self._call("CreateProcessInstance", request)
        return SagaKey(created.processInstanceKey)

    async def cancel(self, process_instance: SagaKey) -> None:
        """Cancel an instance; the engine compensates nothing then.

        Raises:
            EngineError: the engine's reason.
        """
        request = pb.CancelProcessInstanceRequest(processInstanceKey=process_instance)
        await self._call("CancelProcessInstance", request)

    async def publish(
        self,
        message: str,
        correlation_key: str,
        variables: Mapping[str, Json],
        *,
        lasts: timedelta = HOUR,
    ) -> None:
        """Publish a message; the engine keeps it for as long as it `lasts` for whoever awaits it.

        Raises:
            EngineUnreachableError: nobody answered; it may have been published.
            EngineError: the engine's reason.
        """
        request = pb.PublishMessageRequest(
            name=message,
            correlationKey=correlation_key,
            timeToLive=lasts // timedelta(milliseconds=1),
            variables=json.dumps(dict(variables)),
            tenantId=self._tenant,
        )
        await self._call("PublishMessage", request)

    async def tasks_of_people(self) -> list[PersonsTask]:
        """Return what waits for a person and nobody has looked at within `LOOKED_AT`.

        Raises:
            EngineError: the engine's reason.
        """
        request = pb.ActivateJobsRequest(
            type=USER_TASK,
            worker="sagaworks",
            timeout=LOOKED_AT // timedelta(milliseconds=1),
            maxJobsToActivate=MOST_AT_ONCE,
            fetchVariable=[KEY_VARIABLE],
            requestTimeout=-1,
            tenantIds=[self._tenant] if self._tenant else [],
        )
        call = self.stub.ActivateJobs(request, timeout=CALL_SECONDS)
        try:
            return [_task_of(job) async for answer in call for job in answer.jobs]
        except grpc.aio.AioRpcError as error:
            raise self._explained("ActivateJobs", error) from None

    async def complete(self, task: JobKey, variables: Mapping[str, Json]) -> None:
        """Complete a person's task; the saga goes on with these variables.

        Raises:
            EngineError: the engine's reason; it may have been completed by another.
        """
        request = pb.CompleteJobRequest(jobKey=task, variables=json.dumps(dict(variables)))
        await self._call("CompleteJob", request)

    async def _call(self, method: str, request: object, *, seconds: float = CALL_SECONDS) -> Any:  # noqa: ANN401
        call: Awaitable[Any] = getattr(self.stub, method)(request, timeout=seconds)
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise self._explained(method, error) from None

    def _explained(self, method: str, error: grpc.aio.AioRpcError) -> EngineError:
        reason = reason_of(error)
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return EngineBusyError(f"the engine is busy: {reason}")
        if error.code() in TRANSIENT:
            return EngineUnreachableError(f"no engine answers at {self._address}: {reason}")
        return EngineError(f"the engine refused {method}: {reason}")


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Gateway]:
    """Open a channel of its own and give the commands over it."""
    async with open_channel(settings) as channel:
        yield Gateway(channel, settings)


def _task_of(job: Any) -> PersonsTask:  # noqa: ANN401  pyzeebe's ActivatedJob
    key = json.loads(job.variables or "{}").get(KEY_VARIABLE)
    instance = SagaKey(job.processInstanceKey)
    return PersonsTask(
        JobKey(job.key), job.elementId, instance, key if isinstance(key, str) else None
    )


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the engine's words in one line; pyzeebe's own errors drop them."""
    lines = [line.strip(" -'") for line in (error.details() or "").splitlines()]
    return "; ".join(line for line in lines if line) or error.code().name
