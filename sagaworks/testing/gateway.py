"""A scripted gateway: a simulation of the engine's jobs behind real gRPC, for faults only.

It is no engine. It knows no diagram, no scopes of variables, no partitions and no disk; what a saga
does is tested on the real one. It keeps jobs the way the engine 8.6.0 was measured to keep them
(states, locks, retries, back-off, incidents, what each command answers), and it lets a test script
what a healthy engine does too seldom to wait for: lost replies, outages, bursts, the same job
several times at once. One liberty: a job whose lock ends comes back at once, where the engine looks
once a second.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from types import EllipsisType, TracebackType
from typing import Any, Final, NoReturn, Self

import grpc
from lxml import etree
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayServicer, add_GatewayServicer_to_server

TENANT: Final = "<default>"

_FIRST_KEY: Final = (1 << 51) + 1
"""The first key of partition 1; like all the engine's keys it needs 64 bits."""

_LONG_POLL: Final = 10.0
"""Seconds that a poll with requestTimeout 0 waits: the gateway's default."""

_LOOK_AGAIN: Final = 0.02
"""Seconds between looks at a condition, which may depend on things outside the gateway."""

_BPMN: Final = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"


class JobState(Enum):
    """The engine's states of a job, and the two ways out of it."""

    ACTIVATABLE = "activatable"
    ACTIVATED = "activated"
    FAILED = "failed"
    ERROR_THROWN = "error thrown"
    COMPLETED = "completed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Incident:
    """Why a job waits for a person: JOB_NO_RETRIES or UNHANDLED_ERROR_EVENT, and the message."""

    kind: str
    message: str


@dataclass(eq=False, kw_only=True)
class ScriptedJob:
    """A job as the simulated engine sees it.

    Attributes:
        catches: error codes that the diagram would catch; None catches every code.
        lock_ends: when the newest lock ends, in seconds on the monotonic clock.
        deliveries: how often it was handed out.
        answer: the variables that it was completed with.
        thrown: the error that was accepted.
        failures: every accepted FailJob, oldest first.
        calls: the commands that named it, oldest first.
    """

    key: int
    type: str
    variables: Mapping[str, object] = field(repr=False)
    process_instance: int
    element_id: str
    element_instance: int
    retries: int
    headers: Mapping[str, str]
    catches: frozenset[str] | None
    gateway: _Jobs = field(repr=False)
    state: JobState = JobState.ACTIVATABLE
    lock_ends: float = 0.0
    deliveries: int = 0
    answer: dict[str, Any] | None = None
    thrown: pb.ThrowErrorRequest | None = None
    failures: list[pb.FailJobRequest] = field(default_factory=list)
    incident: Incident | None = None
    calls: list[Call] = field(default_factory=list, repr=False)
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def is_gone(self) -> bool:
        """Every command that names it is answered NOT_FOUND."""
        caught = self.state is JobState.ERROR_THROWN and self.incident is None
        return caught or self.state in {JobState.COMPLETED, JobState.CANCELED}

    @property
    def is_settled(self) -> bool:
        """Nothing more happens to it by itself: it's gone, or waits in an incident."""
        return self.is_gone or self.incident is not None

    @property
    def reports(self) -> list[tuple[str, str]]:
        """What it was reported as and how that was answered: ``("CompleteJob", "OK")``."""
        reporting = {"CompleteJob", "FailJob", "ThrowError"}
        return [(call.method, call.answered) for call in self.calls if call.method in reporting]

    async def settled(self, timeout: float = 10.0) -> Self:  # noqa: ASYNC109  it names the job
        """Wait until the job is gone or in an incident.

        Raises:
            TimeoutError: with all that was called meanwhile.
        """
        await self.gateway.until(lambda: self.is_settled, timeout=timeout, what=f"{self} settled")
        return self

    def disarm(self) -> None:
        """Let no lock or back-off of it end any more."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None


@dataclass(eq=False, slots=True)
class Call:
    """One call of a client; times are seconds on the monotonic clock.

    Attributes:
        code: what it was answered; None while it lasts.
        jobs: keys of the jobs that it handed out.
        fault: what the script did to it.
    """

    method: str
    request: Any
    at: float = field(default_factory=time.monotonic)
    ended: float | None = None
    code: grpc.StatusCode | None = None
    jobs: list[int] = field(default_factory=list)
    fault: Fault | None = None

    @property
    def job_key(self) -> int | None:
        """The job that a command names."""
        return getattr(self.request, "jobKey", None)

    @property
    def answered(self) -> str:
        """The name of the status code; ``OPEN`` while the call lasts."""
        return self.code.name if self.code else "OPEN"


class Refused(Exception):
    """What the gateway answers instead of a reply: a status code and its details."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


Act = Callable[[], Awaitable[Any]]
"""What the gateway does about a call when nothing is scripted."""


class Fault(ABC):
    """What a script does to one call; each object stands for one call only."""

    @abstractmethod
    async def play(self, act: Act) -> Any:  # noqa: ANN401  the reply of any method
        """Do what is scripted, around `act`."""


@dataclass(eq=False)
class Pass(Fault):
    """Nothing unusual: a call that the script lets through."""

    async def play(self, act: Act) -> Any:  # noqa: ANN401
        """Act."""
        return await act()


@dataclass(eq=False)
class Fail(Fault):
    """Refuse the call without acting on it."""

    code: grpc.StatusCode
    details: str = "scripted"

    async def play(self, act: Act) -> Any:  # noqa: ANN401, ARG002
        """Refuse."""
        raise Refused(self.code, self.details)


@dataclass(eq=False)
class LoseReply(Fault):
    """Act on the call, and lose what it was answered."""

    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    details: str = "scripted: the reply is lost"

    async def play(self, act: Act) -> Any:  # noqa: ANN401
        """Act, and refuse."""
        await act()
        raise Refused(self.code, self.details)


@dataclass(eq=False)
class Delay(Fault):
    """Answer after a time; the engine acts after it too, or (`acted`) before."""

    seconds: float
    acted: bool = False

    async def play(self, act: Act) -> Any:  # noqa: ANN401
        """Act and sleep, in the order asked for."""
        reply = await act() if self.acted else None
        await asyncio.sleep(self.seconds)
        return reply if self.acted else await act()


@dataclass(eq=False)
class Hold(Fault):
    """Answer when the test says so: await `reached`, later call `release`."""

    acted: bool = False
    _reached: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _released: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    async def reached(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109  short for the test
        """Wait until a call is held.

        Raises:
            TimeoutError: none came.
        """
        async with asyncio.timeout(timeout):
            await self._reached.wait()

    def release(self) -> None:
        """Let the call go on."""
        self._released.set()

    async def play(self, act: Act) -> Any:  # noqa: ANN401
        """Act before or after being held."""
        reply = await act() if self.acted else None
        self._reached.set()
        await self._released.wait()
        return reply if self.acted else await act()


@dataclass(eq=False, slots=True)
class _Script:
    faults: deque[Fault]
    when: Callable[[Any], bool]
    endless: bool = False
    met: int = 0

    def next(self) -> Fault:
        self.met += 1
        return self.faults[0] if self.endless else self.faults.popleft()


@dataclass(eq=False)
class _Stream:
    """An open job stream: what is pushed and not sent yet, and how it ends."""

    request: pb.StreamActivatedJobsRequest
    pushed: deque[ScriptedJob] = field(default_factory=deque)
    broken: grpc.StatusCode | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def push(self, job: ScriptedJob) -> None:
        self.pushed.append(job)
        self._changed.set()

    def end(self, code: grpc.StatusCode) -> None:
        self.broken = code
        self._changed.set()

    async def first(self) -> ScriptedJob:
        """Return what was pushed first; it stays in `pushed` until the caller has sent it."""
        while not self.pushed and not self.broken:
            self._changed.clear()
            await self._changed.wait()
        if self.broken:
            raise Refused(self.broken, "scripted: the stream breaks")
        return self.pushed[0]


class _Jobs:
    """The jobs and what each command does to them; the simulation without its server."""

    def __init__(self, clock_ahead: float) -> None:
        self.jobs: dict[int, ScriptedJob] = {}
        self._clock_ahead = clock_ahead
        self._keys = itertools.count(_FIRST_KEY)
        self._orders = itertools.count(1)
        self._waiting: dict[str, list[ScriptedJob]] = defaultdict(list)
        self._streams: list[_Stream] = []
        self._change = asyncio.Event()

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
            gateway=self,
            key=key or next(self._keys),
            type=job_type,
            variables=given,
            process_instance=process_instance or next(self._keys),
            element_id=element_id or job_type.rpartition(".")[2],
            element_instance=element_instance or next(self._keys),
            retries=retries,
            headers=dict(headers or {}),
            catches=None if catches is None else frozenset(catches),
        )
        self.jobs[job.key] = job
        self._release(job)
        return job

    def cancel(self, job: ScriptedJob) -> None:
        """Take the job away, as an interrupting event or an operator would."""
        self._leave(job, JobState.CANCELED)

    def redeliver(self, job: ScriptedJob) -> None:
        """Hand the job out again now, whether or not its lock still holds."""
        self.deliver_simultaneously(job, 1)

    def deliver_simultaneously(self, job: ScriptedJob, times: int) -> None:
        """Hand the job out `times` times at once: to the open streams, or to the next polls."""
        self._withdraw(job)
        for _ in range(times):
            self._release(job)

    def resolve(self, job: ScriptedJob, *, retries: int = 1) -> None:
        """Resolve the job's incident as an operator would: new retries, and the job comes again.

        Raises:
            ValueError: it has none.
        """
        if job.incident is None:
            raise ValueError(f"{job} has no incident")
        job.incident = None
        job.retries = retries
        self._come_back(job)

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
        ends = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > ends:
                raise TimeoutError(f"{what}: not within {timeout:g} s\n{self.story()}")
            await _wait(self._change, _LOOK_AGAIN)

    def open_streams(self, job_type: str) -> int:
        """Return how many streams of a job type are open."""
        return len(self._streams_of(job_type))

    def waiting(self, job_type: str) -> int:
        """Return how many deliveries wait for a poll."""
        return len(self._waiting[job_type])

    def unsent(self, job_type: str) -> int:
        """Return how many jobs are pushed but held back by the network's flow control."""
        return sum(len(stream.pushed) for stream in self._streams_of(job_type))

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

    def _note_change(self) -> None:
        """Wake whoever awaits a condition."""
        self._change.set()
        self._change = asyncio.Event()

    def _release(self, job: ScriptedJob) -> None:
        """Hand the job to a stream, or keep it for a poll: the engine pushes what is new only."""
        streams = self._streams_of(job.type)
        if streams:
            self._push(job, streams[0])
        else:
            self._waiting[job.type].append(job)
        self._note_change()

    def _push(self, job: ScriptedJob, stream: _Stream) -> None:
        """Push, and let the stream be the last in turn."""
        self._streams.remove(stream)
        self._streams.append(stream)
        self._lock(job, stream.request.timeout)
        stream.push(job)

    def _streams_of(self, job_type: str) -> list[_Stream]:
        return [s for s in self._streams if s.request.type == job_type and not s.broken]

    def _lock(self, job: ScriptedJob, milliseconds: int) -> None:
        job.state = JobState.ACTIVATED
        job.lock_ends = time.monotonic() + milliseconds / 1000
        self._come_back_after(job, milliseconds)

    def _come_back_after(self, job: ScriptedJob, milliseconds: int) -> None:
        job.disarm()
        loop = asyncio.get_running_loop()
        job.timer = loop.call_later(milliseconds / 1000, self._come_back, job)

    def _come_back(self, job: ScriptedJob) -> None:
        job.state = JobState.ACTIVATABLE
        self._release(job)

    def _leave(self, job: ScriptedJob, state: JobState) -> None:
        job.disarm()
        self._withdraw(job)
        job.state = state
        self._note_change()

    def _withdraw(self, job: ScriptedJob) -> None:
        left = [other for other in self._waiting[job.type] if other is not job]
        self._waiting[job.type] = left

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
        job = self.jobs.get(job_key)
        if job is None or job.is_gone:
            _not_found(f"Expected to {verb} job with key '{job_key}', but no such job was found")
        return job

    def _take(self, request: pb.ActivateJobsRequest) -> list[ScriptedJob]:
        waiting = self._waiting[request.type]
        taken = waiting[: request.maxJobsToActivate]
        del waiting[: request.maxJobsToActivate]
        for job in taken:
            self._lock(job, request.timeout)
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
            processDefinitionKey=_FIRST_KEY,
            elementId=job.element_id,
            elementInstanceKey=job.element_instance,
            customHeaders=json.dumps(job.headers),
            worker=request.worker,
            retries=job.retries,
            deadline=round(deadline * 1000),
            variables=json.dumps({k: v for k, v in job.variables.items() if k in wanted}),
            tenantId=TENANT,
        )

    async def _poll(self, request: pb.ActivateJobsRequest) -> list[pb.ActivatedJob]:
        """Hand out waiting jobs; with none, wait for one as long as the request says."""
        _demand(request.type, "type to be present")
        _demand(request.worker, "worker to be present")
        _demand(request.timeout > 0, "timeout to be greater than zero")
        _demand(request.maxJobsToActivate > 0, "maxJobsToActivate to be greater than zero")
        _demand_tenant(request.tenantIds)
        ends = time.monotonic() + (request.requestTimeout / 1000 or _LONG_POLL)
        while not (jobs := self._take(request)) and (left := ends - time.monotonic()) > 0:
            await _wait(self._change, left)
        return [self._delivered(job, request) for job in jobs]

    async def _pushes(
        self, request: pb.StreamActivatedJobsRequest
    ) -> AsyncGenerator[pb.ActivatedJob, None]:
        """Push jobs that come up from now on; those that are there already wait for a poll."""
        _demand(request.type, "type to be present")
        _demand(request.timeout > 0, "timeout to be greater than zero")
        _demand_tenant(request.tenantIds)
        stream = _Stream(request)
        self._streams.append(stream)
        self._note_change()
        try:
            while True:
                yield self._delivered(await stream.first(), request)
                stream.pushed.popleft()
                self._note_change()
        finally:
            self._close(stream)

    def _close(self, stream: _Stream) -> None:
        """Give back what was pushed and not sent, as the engine does when a push fails."""
        stream.end(stream.broken or grpc.StatusCode.CANCELLED)
        self._streams.remove(stream)
        for job in stream.pushed:
            if job.state is JobState.ACTIVATED:
                self._come_back(job)
        self._note_change()

    def _complete(self, request: pb.CompleteJobRequest) -> pb.CompleteJobResponse:
        answer = _object(request.variables)
        job = self._reportable(request.jobKey, "complete")
        job.answer = answer
        self._leave(job, JobState.COMPLETED)
        return pb.CompleteJobResponse()

    def _fail(self, request: pb.FailJobRequest) -> pb.FailJobResponse:
        """Fail a job: it comes again at once or after the back-off, or waits in an incident."""
        _object(request.variables)
        job = self._reportable(request.jobKey, "fail")
        job.failures.append(request)
        job.retries = request.retries
        if request.retries <= 0:
            message = request.errorMessage or "No more retries left."
            job.incident = Incident("JOB_NO_RETRIES", message)
        self._leave(job, JobState.FAILED)
        if request.retries > 0:
            self._offer_again(job, request.retryBackOff)
        return pb.FailJobResponse()

    def _offer_again(self, job: ScriptedJob, back_off_ms: int) -> None:
        if back_off_ms > 0:
            self._come_back_after(job, back_off_ms)
        else:
            self._come_back(job)

    def _throw(self, request: pb.ThrowErrorRequest) -> pb.ThrowErrorResponse:
        """Throw an error: caught, and the job is gone; or an incident, and it stays."""
        _object(request.variables)
        job = self._reportable(request.jobKey, "throw an error for")
        job.thrown = request
        if job.catches is not None and request.errorCode not in job.catches:
            message = f"{request.errorMessage} (nothing catches '{request.errorCode}')"
            job.incident = Incident("UNHANDLED_ERROR_EVENT", message)
        self._leave(job, JobState.ERROR_THROWN)
        return pb.ThrowErrorResponse()

    def _extend(self, request: pb.UpdateJobTimeoutRequest) -> pb.UpdateJobTimeoutResponse:
        """Let a lock last from now on; FAILED_PRECONDITION for a job that nobody holds."""
        job = self._there(request.jobKey, "update the timeout of")
        if job.state is not JobState.ACTIVATED:
            message = f"Expected to update the timeout of job '{job.key}', but it is not active"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, message)
        self._lock(job, request.timeout)
        self._note_change()
        return pb.UpdateJobTimeoutResponse()

    def _set_retries(self, request: pb.UpdateJobRetriesRequest) -> pb.UpdateJobRetriesResponse:
        """Set a job's retries; its incident stays until it's resolved."""
        _demand(request.retries > 0, "retries to be greater than zero")
        self._there(request.jobKey, "update the retries of").retries = request.retries
        return pb.UpdateJobRetriesResponse()


class ScriptedGateway(_Jobs):
    """An in-process gateway on a free port of 127.0.0.1; a simulation, see the module.

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
        self.calls: list[Call] = []
        self.instances: dict[int, pb.CreateProcessInstanceRequest] = {}
        self._processes: dict[str, tuple[int, int, bytes]] = {}
        self._scripts: dict[str, list[_Script]] = defaultdict(list)
        self._thawed = asyncio.Event()
        self._server: grpc.aio.Server | None = None
        self._port = 0
        self._commands: Mapping[str, Callable[[Any], Any]] = {
            "CancelProcessInstance": self._cancel_instance,
            "CompleteJob": self._complete,
            "CreateProcessInstance": self._create_instance,
            "DeployResource": self._deploy_resource,
            "FailJob": self._fail,
            "ThrowError": self._throw,
            "Topology": self._topology,
            "UpdateJobRetries": self._set_retries,
            "UpdateJobTimeout": self._extend,
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
        self._scripts[method].append(_Script(deque(faults), when))

    def assert_script_done(self) -> None:
        """Fail unless every scripted fault was met: one that never happened proves nothing."""
        scripts = [(method, script) for method, made in self._scripts.items() for script in made]
        left = [f"{method}: {fault}" for method, script in scripts for fault in script.faults]
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
        script = _Script(deque([Fail(code, details)]), when, endless=True)
        self._scripts[method].append(script)
        try:
            yield
        finally:
            self._scripts[method].remove(script)
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
        broken = [stream for stream in self._streams if not stream.broken]
        for stream in broken:
            stream.end(code)
        return len(broken)

    def know(self, *process_ids: str) -> None:
        """Let processes be started as though they had been deployed."""
        for process_id in process_ids:
            self._deploy(process_id, b"")

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
        begin = self.calls[0].at if self.calls else 0.0
        calls = [
            f"  {call.at - begin:8.3f} s {call.method} {_subject(call)} -> {call.answered}"
            for call in self.calls[-40:]
        ]
        return "\n".join([super().story(), *(calls or ["  nobody called"])])

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
            jobs = await self._play(call, lambda: self._poll(request))
            call.jobs.extend(job.key for job in jobs)
            if jobs:
                await context.write(pb.ActivateJobsResponse(jobs=jobs))

    async def _answer_stream(self, request: pb.StreamActivatedJobsRequest, context: Any) -> None:  # noqa: ANN401
        async with self._recorded("StreamActivatedJobs", request, context) as call:
            await self._play(call, _nothing)
            async with aclosing(self._pushes(request)) as jobs:
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
            self._note_change()

    def _record(self, method: str, request: Any) -> Call:  # noqa: ANN401  any message
        call = Call(method, request)
        self.calls.append(call)
        if call.job_key in self.jobs:
            self.jobs[call.job_key].calls.append(call)
        self._note_change()
        return call

    async def _play(self, call: Call, act: Act) -> Any:  # noqa: ANN401  the reply
        await self._thawed.wait()
        call.fault = self._next_fault(call)
        return await (call.fault or Pass()).play(act)

    def _next_fault(self, call: Call) -> Fault | None:
        for script in self._scripts[call.method]:
            if script.faults and script.when(call.request):
                return script.next()
        return None

    def _topology(self, _request: pb.TopologyRequest) -> pb.TopologyResponse:
        """Name one broker that leads one partition."""
        partition = pb.Partition(partitionId=1, role=pb.Partition.LEADER)
        return pb.TopologyResponse(
            brokers=[pb.BrokerInfo(host="127.0.0.1", version="8.6.0", partitions=[partition])],
            clusterSize=1,
            partitionsCount=1,
            replicationFactor=1,
            gatewayVersion="8.6.0",
        )

    def _create_instance(
        self, request: pb.CreateProcessInstanceRequest
    ) -> pb.CreateProcessInstanceResponse:
        """Note what was asked for; a request that is sent again makes a second instance."""
        _object(request.variables)
        if request.bpmnProcessId not in self._processes:
            _not_found(f"Expected to find process '{request.bpmnProcessId}', but none found")
        version, key, _ = self._processes[request.bpmnProcessId]
        instance = next(self._keys)
        self.instances[instance] = request
        return pb.CreateProcessInstanceResponse(
            processDefinitionKey=key,
            bpmnProcessId=request.bpmnProcessId,
            version=version,
            processInstanceKey=instance,
            tenantId=TENANT,
        )

    def _cancel_instance(
        self, request: pb.CancelProcessInstanceRequest
    ) -> pb.CancelProcessInstanceResponse:
        """Take away the jobs of an instance; nothing is compensated."""
        instance = request.processInstanceKey
        jobs = [job for job in self.jobs.values() if job.process_instance == instance]
        left = [job for job in jobs if not job.is_gone]
        if not left and self.instances.pop(instance, None) is None:
            _not_found(f"Expected to cancel process instance '{instance}', but none found")
        for job in left:
            self.cancel(job)
        return pb.CancelProcessInstanceResponse()

    def _deploy_resource(self, request: pb.DeployResourceRequest) -> pb.DeployResourceResponse:
        """Note the ids of the processes; only what isn't XML or has a DTD is rejected."""
        found = [(id_, file) for file in request.resources for id_ in _process_ids(file)]
        return pb.DeployResourceResponse(
            key=next(self._keys),
            deployments=[pb.Deployment(process=self._process(id_, file)) for id_, file in found],
            tenantId=TENANT,
        )

    def _process(self, process_id: str, file: pb.Resource) -> pb.ProcessMetadata:
        version, key = self._deploy(process_id, file.content)
        return pb.ProcessMetadata(
            bpmnProcessId=process_id,
            version=version,
            processDefinitionKey=key,
            resourceName=file.name,
            tenantId=TENANT,
        )

    def _deploy(self, process_id: str, content: bytes) -> tuple[int, int]:
        """Return version and key of a process: new ones only for new content."""
        version, key, known = self._processes.get(process_id, (0, 0, None))
        if known != content:
            version, key = version + 1, next(self._keys)
            self._processes[process_id] = (version, key, content)
        return version, key


async def _nothing() -> None:
    """Do nothing about the opening of a stream."""


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _subject(call: Call) -> str:
    """Say in a word what a call is about."""
    if call.job_key is not None:
        return str(call.job_key)
    return str(getattr(call.request, "type", "") or getattr(call.request, "bpmnProcessId", ""))


def _not_found(message: str) -> NoReturn:
    raise Refused(grpc.StatusCode.NOT_FOUND, message)


def _demand(fulfilled: object, what: str) -> None:
    if not fulfilled:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Expected {what}")


def _demand_tenant(tenants: Sequence[str]) -> None:
    _demand(set(tenants) <= {TENANT}, "no tenant, as multi-tenancy is disabled")


def _object(variables: str) -> dict[str, Any]:
    """Read a document of variables as strictly as the gateway: an object, no NaN."""
    try:
        document = json.loads(variables or "{}", parse_constant=_refuse_constant)
    except ValueError as error:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"variables: {error}") from None
    _demand(isinstance(document, dict), "the root of variables to be an object")
    return dict(document)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} isn't JSON")


def _process_ids(file: pb.Resource) -> list[str]:
    try:
        root = etree.fromstring(file.content, etree.XMLParser(resolve_entities=False))
    except etree.XMLSyntaxError as error:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"'{file.name}': {error}") from None
    _demand(not root.getroottree().docinfo.doctype, f"'{file.name}' to have no DOCTYPE")
    return [str(process.get("id")) for process in root.iter(f"{_BPMN}process")]
