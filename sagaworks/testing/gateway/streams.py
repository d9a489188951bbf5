"""Job streams: what is pushed into each and not sent yet, and whose turn it is."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

import grpc
from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.testing.gateway.demands import Refused
from sagaworks.testing.gateway.jobs import ScriptedJob


@dataclass(eq=False)
class Stream:
    """An open job stream: what is pushed and not sent yet, and how it ends."""

    request: pb.StreamActivatedJobsRequest
    pushed: deque[ScriptedJob] = field(default_factory=deque)
    broken: grpc.StatusCode | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def push(self, job: ScriptedJob) -> None:
        """Let the job be sent after what was pushed before."""
        self.pushed.append(job)
        self._changed.set()

    def end(self, code: grpc.StatusCode) -> None:
        """Send nothing any more; whoever reads is answered `code`."""
        self.broken = code
        self._changed.set()

    async def first(self) -> ScriptedJob:
        """Return what was pushed first; it stays in `pushed` until the caller has sent it.

        Raises:
            Refused: the stream was ended.
        """
        while not self.pushed and not self.broken:
            self._changed.clear()
            await self._changed.wait()
        if self.broken:
            raise Refused(self.broken, "scripted: the stream breaks")
        return self.pushed[0]


class Streams:
    """The open streams, the one whose turn comes last at the end."""

    def __init__(self) -> None:
        self._open: list[Stream] = []

    def open(self, request: pb.StreamActivatedJobsRequest) -> Stream:
        """Open one more."""
        stream = Stream(request)
        self._open.append(stream)
        return stream

    def close(self, stream: Stream) -> None:
        """End a stream, unless it has been broken before, and forget it."""
        stream.end(stream.broken or grpc.StatusCode.CANCELLED)
        self._open.remove(stream)

    def of(self, job_type: str) -> list[Stream]:
        """Return the streams that take jobs of a type, in their turn."""
        return [s for s in self._open if s.request.type == job_type and not s.broken]

    def next_of(self, job_type: str) -> Stream | None:
        """Return the stream whose turn it is, and let it be the last from now on."""
        streams = self.of(job_type)
        if not streams:
            return None
        self._open.remove(streams[0])
        self._open.append(streams[0])
        return streams[0]

    def break_all(self, code: grpc.StatusCode) -> int:
        """End every stream with `code`; return how many there were."""
        broken = [stream for stream in self._open if not stream.broken]
        for stream in broken:
            stream.end(code)
        return len(broken)
