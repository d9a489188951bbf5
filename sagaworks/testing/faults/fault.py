"""What a fault may do: to a job on its way to a worker, and to a report on its way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from sagaworks.testing.faults.jobs import Delivery, Report
    from sagaworks.testing.faults.wire import Wire

PassOn = Callable[["Delivery"], None]
"""Lets a delivery go on its way."""

Act = Callable[[], bytes]
"""Makes a report's call; returns the engine's reply, or raises `Answered`."""


class Answered(Exception):
    """What a call was answered instead of a reply."""

    def __init__(
        self,
        code: grpc.StatusCode,
        details: str,
        trailing: tuple[tuple[str, str | bytes], ...] = (),
    ) -> None:
        """Keep the answer."""
        super().__init__(f"{code.name} {details}")
        self.code = code
        self.details = details
        self.trailing = trailing


class Fault:
    """Something that goes wrong on the wire; this one lets everything pass.

    Args:
        name: what happens, in a person's words.
        job_type: which jobs it happens to; None for all.

    Attributes:
        happened: how often it has.
    """

    def __init__(self, name: str, job_type: str | None = None) -> None:
        """Happen to nothing yet."""
        self.name = name
        self.job_type = job_type
        self.happened = 0
        self._met: set[int] = set()
        self._wire: Wire | None = None

    def __str__(self) -> str:
        """The fault with what it's for, as a failed test names it."""
        return f"{self.name} ({self.job_type})" if self.job_type else self.name

    @property
    def wire(self) -> Wire:
        """Where it happens."""
        assert self._wire is not None, "the fault isn't on a wire yet"  # noqa: S101
        return self._wire

    def put_on(self, wire: Wire) -> None:
        """Happen on this wire from now on."""
        self._wire = wire

    def deliver(self, delivery: Delivery, pass_on: PassOn) -> None:
        """Take a delivery, and pass on what is to reach a worker: now, later or twice."""
        pass_on(delivery)

    def report(self, report: Report, act: Act) -> bytes:  # noqa: ARG002  others look at it
        """Take a report, and make its call or not; return its reply or raise `Answered`."""
        return act()

    def cancelled(self, process_instance: int) -> None:
        """Hear that the engine has cancelled a saga."""

    def happens_to(self, delivery_or_report: Delivery | Report) -> bool:
        """Say whether this job is to meet the fault; yes once for each job."""
        job = delivery_or_report.job
        if self.job_type not in {None, job.type} or job.key in self._met:
            return False
        self._met.add(job.key)
        return True

    def count(self, what: str) -> None:
        """Note that it has happened."""
        self.happened += 1
        self.wire.tell(f"{self.name}: {what}")
