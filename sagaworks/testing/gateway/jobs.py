"""A job as the simulated engine keeps it: its state, its lock, and what was done about it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Self

from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.testing.gateway.calls import Call
from sagaworks.testing.gateway.changes import Changes

FIRST_KEY: Final = (1 << 51) + 1
"""The first key of partition 1; like all the engine's keys it needs 64 bits."""


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
    changes: Changes = field(repr=False)
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
        await self.changes.until(lambda: self.is_settled, timeout=timeout, what=f"{self} settled")
        return self

    def disarm(self) -> None:
        """Let no lock or back-off of it end any more."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None
