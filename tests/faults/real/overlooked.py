"""Jobs that the engine has lost sight of: found, counted, and freed by starting it again.

Measured on 8.6.0: the end of a back-off is forgotten one time in about 120, that of a lock now and
then. Such a job stands as FAILED, its back-off long over, or its lock never ends, not even one that
is set anew; no worker is offered it, and no command brings it back. What the engine remembers of it
is in its memory only: once it's started again, it offers the job.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import grpc
from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.runtime.gateway import connect
from tests.faults.real.records import Job
from tests.faults.real.works import Works

BACK_WITHIN: Final = 60.0
"""Seconds that an engine which was killed may take to be ready."""

SILENT: Final = 30.0
"""Seconds without a record of a job; its back-offs are shorter, its locks 25 s at most."""

OVER: Final = frozenset({"COMPLETED", "CANCELED", "ERROR_THROWN"})
DUE: Final = frozenset({"FAILED", "TIMEOUT_UPDATED"})
"""After these something must follow by itself, and soon."""


class Overlooked:
    """Looks after the jobs of orders that don't end.

    Attributes:
        jobs: keys of those that the engine had lost sight of.
    """

    def __init__(self, works: Works) -> None:
        self._works = works
        self._seen = dict[int, tuple[int, float]]()
        self.jobs = set[int]()

    @property
    def figure(self) -> dict[str, float]:
        """How many they are, for what a run has seen."""
        return {"jobs that the engine had lost sight of": len(self.jobs)}

    def free(self, keys: Iterable[str]) -> None:
        """Start the engine again if it has lost sight of a job of these orders, ended or not."""
        for job in self._silent(keys):
            if job.life[-1][0] in DUE:
                self.jobs.add(job.key)
                self._works.kill_engine(BACK_WITHIN)
                self._seen.clear()
                return
            asyncio.run(self._set_lock(job))

    def _silent(self, keys: Iterable[str]) -> list[Job]:
        now = time.monotonic()
        found = []
        for job in self._waiting(keys):
            length, since = self._seen.get(job.key, (0, now))
            if length != len(job.life):
                self._seen[job.key] = len(job.life), now
            elif now - since > SILENT:
                found.append(job)
        return found

    def _waiting(self, keys: Iterable[str]) -> list[Job]:
        still_open = (key for key in keys if not self._works.ended(key))
        jobs = [job for key in still_open for job in self._works.jobs_of(key)]
        return [job for job in jobs if job.life[-1][0] not in OVER and job.life[-1][2] > 0]

    async def _set_lock(self, job: Job) -> None:
        """Set a lock of a second, if the engine counts the job as handed out: it must end soon."""
        lock = pb.UpdateJobTimeoutRequest(jobKey=job.key, timeout=1000)
        async with connect(self._works.settings) as gateway:
            with suppress(grpc.aio.AioRpcError):
                await gateway.stub.UpdateJobTimeout(lock, timeout=5)
