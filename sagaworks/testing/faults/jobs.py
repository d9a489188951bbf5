"""Jobs as they were seen on the wire between a worker and the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyzeebe.proto import gateway_pb2 as pb

if TYPE_CHECKING:
    from sagaworks.testing.faults.fault import Fault
    from sagaworks.testing.faults.link import Link
    from sagaworks.testing.faults.outlets import Outlet


@dataclass(eq=False, slots=True)
class SeenJob:
    """A job that the engine has handed out.

    Attributes:
        retries: as the engine sent it last.
        known_as: the key by which workers know it.
        taken: how often a worker has taken it, copies included.
        holder: the way to the worker that has it; None once it's handed back or gone.
        said: how many reports of it have come in, answered or not.
        reports: what workers said about it and what the engine answered, as ``CompleteJob OK``.
        is_gone: the engine has taken an answer, or no longer knows it.
    """

    key: int
    type: str
    process_instance: int
    retries: int
    known_as: int
    taken: int = 0
    holder: Link | None = None
    said: int = 0
    reports: list[str] = field(default_factory=list)
    is_gone: bool = False

    def __str__(self) -> str:
        """The job in two words, for the story."""
        return f"{self.type} {self.key}"


@dataclass(eq=False, slots=True)
class Delivery:
    """One delivery of a job, on its way to a worker.

    Attributes:
        message: what the worker gets.
        outlet: through which.
        fault: what made it, or held it up; None for the engine's own.
        taken: called once a worker has it.
    """

    job: SeenJob
    message: pb.ActivatedJob
    outlet: Outlet
    fault: Fault | None = None
    taken: Callable[[], None] | None = None

    def copy(self, fault: Fault, outlet: Outlet | None = None) -> Delivery:
        """Return the same once more, through another outlet where one is given."""
        return Delivery(self.job, self.message, outlet or self.outlet, fault)


@dataclass(eq=False, slots=True)
class Report:
    """What a worker says about a job: a call of CompleteJob, FailJob or ThrowError.

    Attributes:
        number: 1 for the first that came in about this job.
        afterwards: called, each in turn, once the call is over for the worker.
    """

    method: str
    job: SeenJob
    number: int
    afterwards: list[Callable[[], None]] = field(default_factory=list)

    @property
    def answers(self) -> bool:
        """Whether the engine is done with the job once it has taken this."""
        return self.method != "FailJob"
