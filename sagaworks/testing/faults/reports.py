"""Reports that are lost, or whose reply is."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

import grpc

from sagaworks.testing.faults.fault import Act, Answered, Fault
from sagaworks.testing.faults.jobs import Report

_SENT_AGAIN_WITHIN: Final = 1.0
"""Seconds that a worker has to send a lost report again, before its job's lock ends."""


class LoseReply(Fault):
    """Let the engine take each job's first report, and lose what it answers."""

    def __init__(
        self,
        job_type: str | None = None,
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
    ) -> None:
        """Do it to all jobs, or to those of one type; the worker sees `code`."""
        super().__init__("the report's reply is lost", job_type)
        self._code = code

    def report(self, report: Report, act: Act) -> bytes:
        """Make the call, and answer that nobody is there."""
        if not self.happens_to(report):
            return act()
        act()
        self.count(f"{report.method} {report.job}")
        raise Answered(self._code, "a fault test has lost the reply")


class LoseReport(Fault):
    """Let each job's first report never arrive."""

    def __init__(
        self,
        job_type: str | None = None,
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
    ) -> None:
        """Do it to all jobs, or to those of one type; the worker sees `code`."""
        super().__init__("the report is lost", job_type)
        self._code = code

    def report(self, report: Report, act: Act) -> bytes:
        """Answer that nobody is there; a worker that doesn't send again loses the job's lock."""
        if not self.happens_to(report):
            return act()
        self.count(f"{report.method} {report.job}")
        reports = len(report.job.reports)
        self.wire.later.call(_SENT_AGAIN_WITHIN, partial(self._end_lock, report, reports))
        raise Answered(self._code, "a fault test has lost the report")

    def _end_lock(self, report: Report, reports: int) -> None:
        if len(report.job.reports) == reports and not report.job.is_gone:
            self.wire.end_lock(report.job)


class Delay(Fault):
    """Let each job's first report take its time on the way."""

    def __init__(self, seconds: float, job_type: str | None = None) -> None:
        """Delay by so many seconds."""
        super().__init__("the report is slow", job_type)
        self._seconds = seconds

    def report(self, report: Report, act: Act) -> bytes:
        """Wait before the call is made."""
        if self.happens_to(report):
            self.count(f"{report.method} {report.job}")
            time.sleep(self._seconds)
        return act()
