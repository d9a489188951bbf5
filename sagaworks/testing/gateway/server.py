"""The gateway's server: it listens, records each call, and plays what is scripted for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Self

import grpc
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayServicer, add_GatewayServicer_to_server

from sagaworks.testing.gateway.calls import Call, story_of
from sagaworks.testing.gateway.commands import JobCommands
from sagaworks.testing.gateway.demands import Refused
from sagaworks.testing.gateway.faults import Act, Fail, Fault, Pass, Scripts
from sagaworks.testing.gateway.processes import Processes
from sagaworks.testing.gateway.simulation import Simulation


class ScriptedGateway(Simulation):
    """An in-process gateway on a free port of 127.0.0.1; a simulation, see the package.

    All of it belongs to the event loop that entered it::

        async with ScriptedGateway() as gateway:
            gateway.script("CompleteJob", [LoseReply()])
            job = gateway.offer("inventory.hold_stock", {"sku": "lamp", "quantity": 2})
            ...  # a worker, connected to gateway.address
            await job.settled()
            gateway.assert_script_done()

    Attributes:
        calls: every call of a client, oldest first.
        jobs: every job offered, by key.
        instances: what CreateProcessInstance was asked for, by process instance key.
    """

    def __init__(self, *, clock_ahead: float = 0.0) -> None:
        """Make it; `clock_ahead` seconds is the engine's wall clock, and so a deadline, ahead."""
        super().__init__(clock_ahead)
        jobs = JobCommands(self.jobs, self.deliveries, self.changes)
        processes = Processes(self.keys, self.jobs, self.deliveries)
        self.calls: list[Call] = []
        self.instances = processes.instances
        self._processes = processes
        self._scripts = Scripts()
        self._thawed = asyncio.Event()
        self._server: grpc.aio.Server | None = None
        self._port = 0
        self._commands: Mapping[str, Callable[[Any], Any]] = {
            "CancelProcessInstance": processes.cancel_instance,
            "CompleteJob": jobs.complete,
            "CreateProcessInstance": processes.create_instance,
            "DeployResource": processes.deploy_resource,
            "FailJob": jobs.fail,
            "ThrowError": jobs.throw,
            "Topology": _topology,
            "UpdateJobRetries": jobs.set_retries,
            "UpdateJobTimeout": jobs.extend,
        }

    @property
    def address(self) -> str:
        """Host and port, the same after an outage."""
        return f"127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        """Listen."""
        self._thawed.set()
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening; open calls end as UNAVAILABLE."""
        await self._hang_up()
        for job in self.jobs.values():
            job.disarm()

    def script(
        self,
        method: str,
        faults: Iterable[Fault],
        when: Callable[[Any], bool] = lambda _: True,
    ) -> None:
        """Play `faults` on the next calls of `method`, one a call, in order.

        Args:
            method: the name of the RPC, ``CompleteJob``.
            faults: `Fail`, `LoseReply`, `Delay`, `Hold`, `Pass`; of a stream they meet its opening.
            when: only calls whose request it says yes to.

        Raises:
            ValueError: a method that isn't simulated.
        """
        simulated = {"ActivateJobs", "StreamActivatedJobs", *self._commands}
        if method not in simulated:
            raise ValueError(f"{method}: one of {', '.join(sorted(simulated))}")
        self._scripts.add(method, faults, when)

    def assert_script_done(self) -> None:
        """Fail unless every scripted fault was met: one that never happened proves nothing."""
        left = self._scripts.left()
        if left:
            raise AssertionError(f"never happened: {'; '.join(left)}\n{self.story()}")

    @contextmanager
    def failing(
        self,
        method: str,
        code: grpc.StatusCode,
        details: str = "scripted",
        when: Callable[[Any], bool] = lambda _: True,
    ) -> Iterator[None]:
        """Refuse every call of `method` for as long as the block lasts; there must be one.

        Raises:
            AssertionError: nobody called.
        """
        script = self._scripts.add(method, [Fail(code, details)], when, endless=True)
        try:
            yield
        finally:
            self._scripts.remove(method, script)
        if not script.met:
            raise AssertionError(f"never happened: {method}: {code.name}\n{self.story()}")

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Refuse connections for as long as the block lasts; locks end meanwhile."""
        await self._hang_up()
        try:
            yield
        finally:
            await self._listen()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Take calls and answer none for as long as the block lasts, as a stopped process does."""
        self._thawed.clear()
        try:
            yield
        finally:
            self._thawed.set()

    def break_streams(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> int:
        """End every open stream with `code`; return how many there were."""
        return self.deliveries.streams.break_all(code)

    def know(self, *process_ids: str) -> None:
        """Let processes be started as though they had been deployed."""
        for process_id in process_ids:
            self._processes.deploy(process_id, b"")

    def calls_of(self, method: str) -> list[Call]:
        """Return the calls of one RPC, oldest first."""
        return [call for call in self.calls if call.method == method]

    def polls_of(self, job_type: str) -> list[Call]:
        """Return the polls for one job type, oldest first."""
        return [call for call in self.calls_of("ActivateJobs") if call.request.type == job_type]

    def open_polls(self, job_type: str) -> int:
        """Return how many polls for a job type wait at this moment."""
        return sum(call.ended is None for call in self.polls_of(job_type))

    def story(self) -> str:
        """Tell the jobs and the last calls, for a person who reads a failed test."""
        return "\n".join([super().story(), *story_of(self.calls)])

    async def _listen(self) -> None:
        server = grpc.aio.server()
        add_GatewayServicer_to_server(self._servicer(), server)
        self._port = server.add_insecure_port(f"127.0.0.1:{self._port}")
        await server.start()
        self._server = server

    async def _hang_up(self) -> None:
        self.break_streams()
        if self._server is not None:
            await self._server.stop(None)
        self._server = None

    def _servicer(self) -> GatewayServicer:
        servicer: Any = GatewayServicer()  # type: ignore[abstract]  # its methods are set below
        servicer.ActivateJobs = self._answer_poll
        servicer.StreamActivatedJobs = self._answer_stream
        for method, command in self._commands.items():
            setattr(servicer, method, self._answering(method, command))
        return servicer  # type: ignore[no-any-return]

    def _answering(
        self, method: str, command: Callable[[Any], Any]
    ) -> Callable[[Any, Any], Coroutine[Any, Any, Any]]:
        async def answer(request: Any, context: Any) -> Any:  # noqa: ANN401  any command
            async def act() -> Any:  # noqa: ANN401  its reply
                return command(request)

            async with self._recorded(method, request, context) as call:
                return await self._play(call, act)

        return answer

    async def _answer_poll(self, request: pb.ActivateJobsRequest, context: Any) -> None:  # noqa: ANN401
        async with self._recorded("ActivateJobs", request, context) as call:
            jobs = await self._play(call, lambda: self.deliveries.poll(request))
            call.jobs.extend(job.key for job in jobs)
            if jobs:
                await context.write(pb.ActivateJobsResponse(jobs=jobs))

    async def _answer_stream(self, request: pb.StreamActivatedJobsRequest, context: Any) -> None:  # noqa: ANN401
        async with self._recorded("StreamActivatedJobs", request, context) as call:
            await self._play(call, _nothing)
            async with aclosing(self.deliveries.pushes(request)) as jobs:
                async for job in jobs:
                    await self._thawed.wait()
                    call.jobs.append(job.key)
                    await context.write(job)

    @asynccontextmanager
    async def _recorded(self, method: str, request: Any, context: Any) -> AsyncIterator[Call]:  # noqa: ANN401
        """Keep a record of a call, and answer what refuses it."""
        call = self._record(method, request)
        try:
            yield call
            call.code = grpc.StatusCode.OK
        except Refused as refused:
            call.code = refused.code
            await context.abort(refused.code, refused.details)
        except asyncio.CancelledError:
            call.code = grpc.StatusCode.CANCELLED
            raise
        finally:
            call.ended = time.monotonic()
            self.changes.note()

    def _record(self, method: str, request: Any) -> Call:  # noqa: ANN401  any message
        call = Call(method, request)
        self.calls.append(call)
        if call.job_key in self.jobs:
            self.jobs[call.job_key].calls.append(call)
        self.changes.note()
        return call

    async def _play(self, call: Call, act: Act) -> Any:  # noqa: ANN401  the reply
        await self._thawed.wait()
        call.fault = self._scripts.next_fault(call.method, call.request)
        return await (call.fault or Pass()).play(act)


def _topology(_request: pb.TopologyRequest) -> pb.TopologyResponse:
    """Name one broker that leads one partition."""
    partition = pb.Partition(partitionId=1, role=pb.Partition.LEADER)
    return pb.TopologyResponse(
        brokers=[pb.BrokerInfo(host="127.0.0.1", version="8.6.0", partitions=[partition])],
        clusterSize=1,
        partitionsCount=1,
        replicationFactor=1,
        gatewayVersion="8.6.0",
    )


async def _nothing() -> None:
    """Do nothing about the opening of a stream."""
