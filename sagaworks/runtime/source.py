"""Where jobs come from: a stream for each job type, and rare polls for what a stream misses."""

import asyncio
import random
import time
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

_SILENT: Final = 0.03
"""Seconds without a job after which a stream that was left unread seems to have nothing left: what
was pushed meanwhile has gone back to the engine, and only a poll brings it."""

_OWED_AT_MOST: Final = 0.25
"""Seconds after which it's fetched all the same: a stream that flows on has newer jobs than these.

A poll with each place that came free would be one for each job under full load, and cost the engine
as much as the job itself.
"""

_READ_ON: Final = 0.05
"""Seconds without a job after which a stopped stream counts as read to its end."""

_READ_ON_AT_MOST: Final = 0.5

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
        give_back: takes a job that came while the source was stopping, and has no place.
        contact: told of answers and failures.
    """

    def __init__(  # noqa: PLR0913, PLR0917  where the parts of a worker meet
        self,
        stub: Any,  # noqa: ANN401
        wanted: Wanted,
        slots: Slots,
        receive: Receive,
        give_back: Receive,
        contact: Contact,
    ) -> None:
        """Take nothing yet."""
        self._stub = stub
        self._wanted = wanted
        self._slots = slots
        self._receive = receive
        self._give_back = give_back
        self._contact = contact
        self._poll_now = asyncio.Event()
        self._heard = 0.0
        self._reads = False
        self._closing = False
        self._owed_since: float | None = None
        self._stopping = False
        self.reason: str | None = None

    def stop(self) -> None:
        """Let the poll that is under way be the last."""
        self._stopping = True
        self._poll_now.set()

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
        """Take what waits at the engine: at once when asked for, else rarely; until stopped."""
        pause = Backoff(0.01, 1.0)
        while True:
            await self._until_due()
            if self._stopping:
                return
            try:
                await self._poll()
                pause.reset()
            except grpc.aio.AioRpcError as error:
                self._failed("poll", error)
                self._poll_now.set()
                await asyncio.sleep(pause.next())

    async def _read_stream(self, pause: Backoff) -> None:
        call = self._stub.StreamActivatedJobs(self._wanted.stream())
        self._closing = self._reads = False
        reading = asyncio.create_task(self._keep_reading(call, pause))
        try:
            # Cancelling a read would cancel the call, and lose the jobs that are here already.
            await asyncio.shield(reading)
        except asyncio.CancelledError:
            await self._give_back_pushed(call, reading, pause)
            raise
        finally:
            call.cancel()

    async def _keep_reading(self, call: Any, pause: Backoff) -> None:  # noqa: ANN401
        """Hand over what is pushed; once the stream is to be closed, give it back instead."""
        while True:
            # Not reading is what pushes back: HTTP/2 flow control stops the engine's pushes.
            if not (self._slots.free or self._closing):
                await self._slots.room()
                self._look_after_a_while()
            self._reads = True
            job = await call.read()
            self._reads = False
            if job is grpc.aio.EOF:
                return
            self._heard = time.monotonic()
            if self._closing:
                self._give_back(job)
                continue
            self._reached()
            pause.reset()
            await self._take_in(job)

    async def _give_back_pushed(
        self,
        call: Any,  # noqa: ANN401
        reading: asyncio.Task[None],
        pause: Backoff,
    ) -> None:
        """Give back the jobs that were pushed before the stream is closed."""
        self._closing = True
        if not (self._reads or reading.done()):
            # It waits for a place, which nobody needs any more.
            reading.cancel()
            await asyncio.wait({reading})
            reading = asyncio.create_task(self._keep_reading(call, pause))
        until = time.monotonic() + _READ_ON_AT_MOST
        try:
            silent = False
            while not (silent or reading.done()) and time.monotonic() < until:
                heard = self._heard
                await asyncio.wait({reading}, timeout=_READ_ON)
                silent = self._heard == heard
        finally:
            reading.add_done_callback(_end_unheard)
            reading.cancel()

    async def _take_in(self, job: Any) -> None:  # noqa: ANN401
        try:
            await self._slots.take()
        except asyncio.CancelledError:
            self._give_back(job)
            raise
        self._receive(job)

    def _look_after_a_while(self) -> None:
        """Have what the engine took back meanwhile polled, once the stream has had its say."""
        if self._owed_since is None:
            self._owed_since = time.monotonic()
            asyncio.get_running_loop().call_later(_SILENT, self._look)

    def _look(self) -> None:
        assert self._owed_since is not None  # noqa: S101  only called while something is owed
        now = time.monotonic()
        due = min(self._heard + _SILENT, self._owed_since + _OWED_AT_MOST)
        if due > now:
            asyncio.get_running_loop().call_later(due - now, self._look)
            return
        self._owed_since = None
        self._poll_now.set()

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
            self._reached()
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

    def _reached(self) -> None:
        self.reason = None
        self._contact.made()

    def _failed(self, what: str, error: grpc.aio.AioRpcError) -> None:
        reason = reason_of(error)
        if error.code() in (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED):
            self._contact.missed(reason)
        elif error.code() not in (StatusCode.RESOURCE_EXHAUSTED, StatusCode.CANCELLED):
            self._say(f"{what} of {self._wanted.job_type}: {error.code().name} {reason}")

    def _say(self, reason: str) -> None:
        """Log a refusal once, not at each try."""
        if reason != self.reason:
            logger.warning("{}; trying on", reason)
        self.reason = reason


def _end_unheard(reading: asyncio.Task[None]) -> None:
    # How it ends is of no interest any more; an error that nobody looks at would be logged.
    if not reading.cancelled():
        reading.exception()
