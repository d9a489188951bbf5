"""A client's call, as the gateway keeps it on record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from sagaworks.testing.gateway.faults import Fault


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


def story_of(calls: Sequence[Call]) -> list[str]:
    """Tell the last calls, a line each, in seconds since the first."""
    begin = calls[0].at if calls else 0.0
    return [
        f"  {call.at - begin:8.3f} s {call.method} {_subject(call)} -> {call.answered}"
        for call in calls[-40:]
    ] or ["  nobody called"]


def _subject(call: Call) -> str:
    """Say in a word what a call is about."""
    if call.job_key is not None:
        return str(call.job_key)
    return str(getattr(call.request, "type", "") or getattr(call.request, "bpmnProcessId", ""))
