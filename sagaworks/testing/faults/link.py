"""One worker's way to the engine: a gateway on an address of its own, which can be cut."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import grpc
from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.testing.faults.engine import SERVICE, UNLIMITED, Metadata, replies_of
from sagaworks.testing.faults.fault import Answered
from sagaworks.testing.faults.jobs import SeenJob
from sagaworks.testing.faults.outlets import Outlet

if TYPE_CHECKING:
    from sagaworks.testing.faults.wire import Wire

_REPORTS: Final[dict[str, Any]] = {
    "CompleteJob": pb.CompleteJobRequest,
    "FailJob": pb.FailJobRequest,
    "ThrowError": pb.ThrowErrorRequest,
}

_OF_A_JOB: Final[dict[str, Any]] = {
    "UpdateJobTimeout": pb.UpdateJobTimeoutRequest,
    "UpdateJobRetries": pb.UpdateJobRetriesRequest,
}

_CALLS: Final = 512
"""Calls that may be under way at once on one link, each on a thread."""

_OF_THE_TRANSPORT: Final = ("grpc-", ":", "user-agent", "te", "content-type")

_FOR_EVER: Final = 1e6
"""Seconds."""

_CUT: Final = Answered(grpc.StatusCode.UNAVAILABLE, "a fault test has cut this link")


class Link(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """Passes every call on to the engine, and every job and report through the wire's faults.

    Attributes:
        address: host and port, for a worker or a client.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._mailboxes: dict[str, Outlet] = {}
        self._is_cut = False
        self._streaming = {
            "StreamActivatedJobs": self._answer_stream,
            "ActivateJobs": self._answer_poll,
        }
        self._answering = {
            **{method: self._reporting(method) for method in _REPORTS},
            **{method: self._naming(method) for method in _OF_A_JOB},
            "CancelProcessInstance": self._cancelling(),
            "DeployResource": self._deploying(),
        }
        self._pool = ThreadPoolExecutor(_CALLS, thread_name_prefix="faults-link")
        self._server = grpc.server(self._pool, handlers=(self,), options=UNLIMITED)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def cut(self) -> None:
        """Let nothing pass from this moment on, in either direction; it can't be mended."""
        with self._wire.changed:
            self._is_cut = True
            for mailbox in self._mailboxes.values():
                mailbox.open = False
            self._wire.changed.notify_all()
        self._server.stop(None)
        self._pool.shutdown(wait=False)

    def held(self) -> list[SeenJob]:
        """Return the jobs that its worker has taken, and nobody has answered or taken since."""
        with self._wire.changed:
            return [job for job in self._wire.jobs.values() if job.holder is self]

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler:  # noqa: ANN401
        """Return what answers a call of this method; gRPC asks."""
        path = handler_call_details.method
        method = path.removeprefix(f"/{SERVICE}/")
        if method in self._streaming:
            return grpc.unary_stream_rpc_method_handler(self._streaming[method])
        answer = self._answering.get(method) or self._passing(path)
        return grpc.unary_unary_rpc_method_handler(answer)

    def _passing(self, path: str) -> Callable[[bytes, Any], bytes]:
        def answer(request: bytes, context: Any) -> bytes:  # noqa: ANN401
            return _answered(context, lambda: self._pass_on(path, request, context))

        return answer

    def _reporting(self, method: str) -> Callable[[bytes, Any], bytes]:
        def answer(request: bytes, context: Any) -> bytes:  # noqa: ANN401
            message = _REPORTS[method].FromString(request)

            def act() -> bytes:
                return self._pass_on_renamed(method, message, context)

            job = self._wire.jobs.get(message.jobKey)
            if job is None:
                return _answered(context, act)
            report = self._wire.take_report(method, job)
            context.add_callback(lambda: [then() for then in report.afterwards])
            return _answered(context, lambda: self._wire.report(report, act))

        return answer

    def _cancelling(self) -> Callable[[bytes, Any], bytes]:
        passing = self._passing(f"/{SERVICE}/CancelProcessInstance")

        def answer(request: bytes, context: Any) -> bytes:  # noqa: ANN401
            reply = passing(request, context)
            saga = pb.CancelProcessInstanceRequest.FromString(request).processInstanceKey
            self._wire.cancelled(saga)
            return reply

        return answer

    def _deploying(self) -> Callable[[bytes, Any], bytes]:
        passing = self._passing(f"/{SERVICE}/DeployResource")

        def answer(request: bytes, context: Any) -> bytes:  # noqa: ANN401
            for resource in pb.DeployResourceRequest.FromString(request).resources:
                self._wire.deployed(resource.name, resource.content)
            return passing(request, context)

        return answer

    def _naming(self, method: str) -> Callable[[bytes, Any], bytes]:
        def answer(request: bytes, context: Any) -> bytes:  # noqa: ANN401
            message = _OF_A_JOB[method].FromString(request)
            return _answered(context, lambda: self._pass_on_renamed(method, message, context))

        return answer

    def _pass_on_renamed(self, method: str, message: Any, context: Any) -> bytes:  # noqa: ANN401
        message.jobKey = self._wire.key_of(message.jobKey)
        return self._pass_on(f"/{SERVICE}/{method}", message.SerializeToString(), context)

    def _pass_on(self, path: str, request: bytes, context: Any) -> bytes:  # noqa: ANN401
        self._refuse_if_cut()
        seconds = _seconds_left(context)
        reply = self._wire.engine.call(path, request, _metadata(context), seconds)
        self._refuse_if_cut()
        return reply

    def _answer_stream(self, request: bytes, context: Any) -> Iterator[bytes]:  # noqa: ANN401
        job_type = pb.StreamActivatedJobsRequest.FromString(request).type
        outlet = Outlet(job_type, self, streams=True)
        call = self._call("StreamActivatedJobs", request, context)
        context.add_callback(call.cancel)
        self._wire.open_outlet(outlet)
        self._read_on("stream", self._read_stream, call, outlet)
        while job := self._next_of(outlet):
            yield job.SerializeToString()
        if outlet.answer:
            _abort(context, outlet.answer)

    def _read_stream(self, call: Iterator[bytes], outlet: Outlet) -> None:
        def take(reply: bytes) -> None:
            self._wire.arrive(pb.ActivatedJob.FromString(reply), outlet)
            # Not reading on is what pushes back: a worker's flow control reaches the engine.
            with self._wire.changed:
                self._wire.changed.wait_for(lambda: not outlet.waiting or not outlet.open)

        answer = replies_of(call, take)
        self._wire.close_outlet(outlet, answer)

    def _next_of(self, outlet: Outlet) -> pb.ActivatedJob | None:
        wire = self._wire
        with wire.changed:
            wire.changed.wait_for(lambda: outlet.waiting or not outlet.open or self._is_cut)
            if self._is_cut or not outlet.waiting:
                return None
            return wire.take(outlet, 1)[0]

    def _answer_poll(self, request: bytes, context: Any) -> Iterator[bytes]:  # noqa: ANN401
        poll = pb.ActivateJobsRequest.FromString(request)
        wire = self._wire
        context.add_callback(wire.notify)
        with wire.changed:
            mailbox = self._mailbox(poll.type)
            if not mailbox.waiting and not mailbox.asking:
                self._ask(mailbox, request, context)
            mailbox.polls += 1
            wire.changed.wait_for(
                lambda: mailbox.waiting or not mailbox.asking or not self._reads(context)
            )
            mailbox.polls -= 1
            if not self._reads(context):
                _cancel(mailbox.asking)
                return
            taken = wire.take(mailbox, poll.maxJobsToActivate)
        if taken:
            yield pb.ActivateJobsResponse(jobs=taken).SerializeToString()
        elif mailbox.answer:
            _abort(context, mailbox.answer)

    def _ask(self, mailbox: Outlet, request: bytes, context: Any) -> None:  # noqa: ANN401
        """Ask the engine; what it hands out after somebody else's answer waits for the next."""
        mailbox.asking, mailbox.answer = self._call("ActivateJobs", request, context), None
        self._read_on("poll", self._read_poll, mailbox.asking, mailbox)

    def _read_poll(self, call: Iterator[bytes], mailbox: Outlet) -> None:
        def take(reply: bytes) -> None:
            for job in pb.ActivateJobsResponse.FromString(reply).jobs:
                self._wire.arrive(job, mailbox)

        answer = replies_of(call, take)
        with self._wire.changed:
            mailbox.asking, mailbox.answer = None, answer
            self._wire.changed.notify_all()

    def _mailbox(self, job_type: str) -> Outlet:
        if job_type not in self._mailboxes:
            self._mailboxes[job_type] = Outlet(job_type, self, streams=False)
            self._wire.open_outlet(self._mailboxes[job_type])
        return self._mailboxes[job_type]

    def _call(self, method: str, request: bytes, context: Any) -> Any:  # noqa: ANN401
        seconds = _seconds_left(context)
        path = f"/{SERVICE}/{method}"
        return self._wire.engine.stream(path, request, _metadata(context), seconds)

    def _read_on(self, name: str, read: Callable[..., None], *what: Any) -> None:  # noqa: ANN401
        threading.Thread(target=read, args=what, name=f"faults-{name}", daemon=True).start()

    def _reads(self, context: Any) -> bool:  # noqa: ANN401
        return not self._is_cut and context.is_active()

    def _refuse_if_cut(self) -> None:
        if self._is_cut:
            raise _CUT


def _cancel(call: Any) -> None:  # noqa: ANN401
    if call is not None:
        call.cancel()


def _answered(context: Any, act: Callable[[], bytes]) -> bytes:  # noqa: ANN401
    try:
        return act()
    except Answered as answer:
        _abort(context, answer)
        raise


def _abort(context: Any, answer: Answered) -> None:  # noqa: ANN401
    context.set_trailing_metadata(answer.trailing)
    context.abort(answer.code, answer.details)


def _seconds_left(context: Any) -> float | None:  # noqa: ANN401
    # A call without a deadline has one in the year 292 billion, which gRPC can't pass on.
    left: float = context.time_remaining()
    return left if left < _FOR_EVER else None


def _metadata(context: Any) -> Metadata:  # noqa: ANN401
    sent = context.invocation_metadata()
    return tuple((key, value) for key, value in sent if not key.startswith(_OF_THE_TRANSPORT))
