"""Where jobs come from: a stream for each job type, and rare polls for what a stream misses."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import grpc
from grpc import StatusCode
from loguru import logger
from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.runtime.backoff import Backoff
from sagaworks.runtime.contact import Contact
from sagaworks.runtime.gateway import reason_of
from sagaworks.runtime.slots import Slots

POLL_EVERY: Final = 10.0
"""Seconds between two polls while the stream flows. A poll finds jobs older than the stream.

Open long polls cost the engine twice the CPU and a saga four times the latency (measured), so
these don't wait: they take what is there.
"""

_LARGEST_POLL: Final = 64

_POLL_SECONDS: Final = 3.0
"""A poll that doesn't wait is answered in milliseconds; a hung one holds places meanwhile."""

Receive = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a source asks the engine for.

    Attributes:
        job_type: ``inventory.hold_stock``.
        worker: this worker's name, shown by the engine.
        lock: how long the engine keeps a job for this worker.
        variables: the names to fetch; never empty, since the engine then sends all.
        tenants: empty where the gateway knows no tenants.
    """

    job_type: str
    worker: str
    lock: timedelta
    variables: tuple[str, ...]
    tenants: tuple[str, ...]

    def stream(self) -> pb.StreamActivatedJobsRequest:
        """Return the request that opens a stream."""
        return pb.StreamActivatedJobsRequest(
            type=self.job_type,
            worker=self.worker,
            timeout=self.lock // timedelta(milliseconds=1),
            fetchVariable=self.variables,
            tenantIds=self.tenants,
        )

    def poll(self, most: int) -> pb.ActivateJobsRequest:
        """Return the request that takes at most so many waiting jobs, at once."""
        return pb.ActivateJobsRequest(
            type=self.job_type,
            worker=self.worker,
            timeout=self.lock // timedelta(milliseconds=1),
            maxJobsToActivate=most,
            fetchVariable=self.variables,
            # Negative: no long poll.
            requestTimeout=-1,
            tenantIds=self.tenants,
        )


class JobSource:
    """Takes jobs of one type, only while there is room for them.

    Args:
        stub: pyzeebe's stub.
        wanted: what to ask for.
        slots: the worker's places; a job is handed over with one taken for it.
        receive: takes a job that has its place.
        contact: told of answers and failures.
    """

    def __init__(
        self,
        stub: Any,
        wanted: Wanted,
        slots: Slots,
        receive: Receive,
        contact: Contact,  # noqa: ANN401
    ) -> None:
        """Take nothing yet."""
        self._stub = stub
        self._wanted = wanted
        self._slots = slots
        self._receive = receive
        self._contact = contact
        self._poll_now = asyncio.Event()
        self.waiting: Any = None

    async def keep_streaming(self) -> None:
        """Read the stream while there is room; open it again for ever; until cancelled."""
        pause = Backoff(0.1, 2.0)
        while True:
            # Jobs from before the stream, and those pushed while it was away.
            self._poll_now.set()
            try:
                await self._read_stream(pause)
            except grpc.aio.AioRpcError as error:
                self._failed("stream", error)
            await asyncio.sleep(pause.next())

    async def keep_polling(self) -> None:
        """Take what waits at the engine: at once when asked for, else rarely; until cancelled."""
        pause = Backoff(0.01, 1.0)
        while True:
            await self._until_due()
            try:
                await self._poll()
                pause.reset()
            except grpc.aio.AioRpcError as error:
                self._failed("poll", error)
                self._poll_now.set()
                await asyncio.sleep(pause.next())

    async def _read_stream(self, pause: Backoff) -> None:
        call = self._stub.StreamActivatedJobs(self._wanted.stream())
        try:
            while True:
                # Not reading is what pushes back: HTTP/2 flow control stops the engine's pushes.
                if not self._slots.free:
                    await self._slots.room()
                    self._poll_now.set()
                job = await call.read()
                if job is grpc.aio.EOF:
                    return
                self._contact.made()
                pause.reset()
                await self._take_in(job)
        finally:
            call.cancel()

    async def _take_in(self, job: Any) -> None:  # noqa: ANN401
        self.waiting = job
        await self._slots.take()
        self.waiting = None
        self._receive(job)

    async def _poll(self) -> None:
        await self._slots.take()
        asked = 1 + self._slots.take_more(_LARGEST_POLL - 1)
        got = 0
        try:
            call = self._stub.ActivateJobs(self._wanted.poll(asked), timeout=_POLL_SECONDS)
            async for batch in call:
                for job in batch.jobs:
                    got += 1
                    self._receive(job)
            self._contact.made()
        finally:
            self._slots.give(max(0, asked - got))
        if got >= asked:
            self._poll_now.set()

    async def _until_due(self) -> None:
        try:
            every = POLL_EVERY * random.uniform(0.8, 1.2)  # noqa: S311  spreads workers' polls
            async with asyncio.timeout(every):
                await self._poll_now.wait()
        except TimeoutError:
            return
        finally:
            self._poll_now.clear()

    def _failed(self, what: str, error: grpc.aio.AioRpcError) -> None:
        reason = reason_of(error)
        if error.code() in (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED):
            self._contact.missed(reason)
        elif error.code() is not StatusCode.RESOURCE_EXHAUSTED:
            logger.warning(
                "{} of {}: {} {}", what, self._wanted.job_type, error.code().name, reason
            )
