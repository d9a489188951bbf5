"""The engine's commands for everything but jobs: deploy, start, cancel, look."""

import json
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from sagaworks.codec import Json
from sagaworks.errors import EngineError
from sagaworks.runtime.channel import open_channel
from sagaworks.saga import SagaKey
from sagaworks.settings import Settings

R = TypeVar("R")

CALL_SECONDS: Final = 10.0
"""The deadline of one call."""

DEFAULT_TENANT: Final = "<default>"
"""What the engine calls its only tenant; sending it to a gateway without tenancy is an error."""


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

        Raises:
            EngineError: with the engine's own reason.
        """
        resources = [pb.Resource(name=path.name, content=path.read_bytes()) for path in diagrams]
        request = pb.DeployResourceRequest(resources=resources, tenantId=self._tenant)
        answer = await self._call("DeployResource", request, seconds=3 * CALL_SECONDS)
        deployed = (item.process for item in answer.deployments if item.HasField("process"))
        return [Deployed(p.bpmnProcessId, p.version, p.processDefinitionKey) for p in deployed]

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

    async def _call(self, method: str, request: object, *, seconds: float = CALL_SECONDS) -> Any:  # noqa: ANN401
        call: Awaitable[Any] = getattr(self.stub, method)(request, timeout=seconds)
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise self._explained(method, error) from None

    def _explained(self, method: str, error: grpc.aio.AioRpcError) -> EngineError:
        reason = reason_of(error)
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            return EngineUnreachableError(f"no engine answers at {self._address}: {reason}")
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return EngineBusyError(f"the engine is busy: {reason}")
        return EngineError(f"the engine refused {method}: {reason}")


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Gateway]:
    """Open a channel of its own and give the commands over it."""
    async with open_channel(settings) as channel:
        yield Gateway(channel, settings)


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the engine's words in one line; pyzeebe's own errors drop them."""
    lines = [line.strip(" -'") for line in (error.details() or "").splitlines()]
    return "; ".join(line for line in lines if line) or error.code().name
