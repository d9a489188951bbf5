"""`zeebe.faults`: what a test may let go wrong between its workers and the engine."""

from __future__ import annotations

from contextlib import ExitStack
from random import Random
from typing import Any, Final, Self, TypeVar

import grpc

from sagaworks.ledger.points import Point, hooked
from sagaworks.service import Service
from sagaworks.settings import Settings
from sagaworks.step import Compensation, Step
from sagaworks.testing.faults.deliveries import (
    DeliverAfterCancel,
    DeliverAtOnce,
    DeliverLate,
    DeliverTwice,
    DeliverUnderAnotherKey,
    Shuffle,
)
from sagaworks.testing.faults.engine import Engine
from sagaworks.testing.faults.fault import Fault
from sagaworks.testing.faults.link import Link
from sagaworks.testing.faults.mortal import Crash, Mortal
from sagaworks.testing.faults.reports import Delay, LoseReply, LoseReport
from sagaworks.testing.faults.wire import Wire

F = TypeVar("F", bound=Fault)

Task = str | Step[..., Any] | Compensation[Any]
"""A job type, or the step or compensation that takes its jobs."""

_HAPPENS_WITHIN: Final = 5.0


class Faults:
    """A wire to a real engine on which faults happen.

    It works on the wire, so for workers of any kind: let them connect to `address`.

    Args:
        engine: the real engine's host and port.
        seed: decides the order of jobs that come together; a random one unless given.
        credentials: where the engine speaks TLS.

    Attributes:
        wire: what passes, and the story of it.
        seed: give it again, and the order is the same.
        mortals: the workers of Sagaworks' runtime on this wire.
        patience: seconds that a fault has to happen in after the test's last line.
    """

    def __init__(
        self,
        engine: str,
        *,
        seed: int | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """Open the wire."""
        self.seed = Random().randrange(1_000_000) if seed is None else seed  # noqa: S311  no secret
        self.wire = Wire(Engine(engine, credentials))
        self._demanded: list[Fault] = []
        self._shuffle = Shuffle(self.seed)
        self.wire.add(self._shuffle)
        self._link = self.wire.open_link()
        self._hooks = ExitStack()
        self._at_once = False
        self.patience = _HAPPENS_WITHIN
        self.mortals: list[Mortal] = []

    def __enter__(self) -> Self:
        """Give the faults."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Close the wire; a test that didn't fail fails now if a fault of it never happened."""
        try:
            if kind is None:
                self.demand()
        finally:
            self.close()

    @property
    def address(self) -> str:
        """Host and port for workers and clients."""
        return self._link.address

    def open_link(self) -> Link:
        """Open a way of its own for one more worker, to tell two workers apart or cut one off."""
        return self.wire.open_link()

    def deliver_twice(self, task: Task | None = None) -> Fault:
        """Deliver each job again when it's done."""
        return self._add(DeliverTwice(_job_type(task)))

    def deliver_at_once(self, task: Task | None = None) -> Fault:
        """Deliver each job twice at the same moment, to two workers where two are connected.

        `zeebe.work` then runs two of each service.
        """
        self._at_once = True
        return self._add(DeliverAtOnce(_job_type(task)))

    def deliver_late(self, task: Task | None = None) -> Fault:
        """Hold each delivery up until its lock has run out and another one of it is done.

        It comes once more before each later report of its saga, so after its compensation too.
        """
        return self._add(DeliverLate(_job_type(task)))

    def deliver_under_another_key(self, task: Task | None = None) -> Fault:
        """Take each job away when it's answered, and deliver it again under another key."""
        return self._add(DeliverUnderAnotherKey(_job_type(task)))

    def deliver_after_cancel(self, task: Task) -> DeliverAfterCancel:
        """Hold the jobs of this task until their saga is cancelled."""
        return self._add(DeliverAfterCancel(_job_type(task) or ""))

    def lose_reply(
        self,
        task: Task | None = None,
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
    ) -> Fault:
        """Let the engine take each job's first report; the worker sees `code` for a reply."""
        return self._add(LoseReply(_job_type(task), code))

    def lose_report(
        self,
        task: Task | None = None,
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
    ) -> Fault:
        """Let each job's first report never arrive; the worker sees `code`."""
        return self._add(LoseReport(_job_type(task), code))

    def delay(self, seconds: float, task: Task | None = None) -> Fault:
        """Let each job's first report be on its way for so many seconds."""
        return self._add(Delay(seconds, _job_type(task)))

    def crash(self, point: Point, task: Task | None = None) -> Fault:
        """Let the worker die once for each job, when it gets to this point; another one follows.

        It's a point inside Sagaworks' own runtime, so for workers run by `mortal` (as `zeebe.work`
        runs them) only.
        """
        crash = self._add(Crash(point, _job_type(task)))
        self._hooks.enter_context(hooked(crash.reached))
        return crash

    def mortal(self, service: Service, settings: Settings) -> Mortal:
        """Return a worker of Sagaworks' runtime that can die; two of them if jobs come at once."""
        mortal = Mortal(service, settings, self.wire, workers=2 if self._at_once else 1)
        self.mortals.append(mortal)
        return mortal

    def any_order(self) -> Fault:
        """Demand that jobs of one saga come together; their order is the seed's in any case."""
        self._demanded.append(self._shuffle)
        return self._shuffle

    def demand(self) -> None:
        """Fail unless each fault asked for has happened; one that is under way has its time.

        Raises:
            AssertionError: naming those that haven't, with the story.
        """
        self.wire.wait_for(lambda: not self.missing(), self.patience)
        if missing := self.missing():
            names = ", ".join(map(str, missing))
            raise AssertionError(f"never happened: {names}\n{self.story()}")

    def story(self) -> str:
        """Tell what passed on the wire, for a person who reads a failed test."""
        return f"seed {self.seed}\n{self.wire.story()}"

    def close(self) -> None:
        """Close the wire."""
        self._hooks.close()
        self.wire.close()

    def missing(self) -> list[Fault]:
        """Return what was asked for and hasn't happened."""
        return [fault for fault in self._demanded if not fault.happened]

    def _add(self, fault: F) -> F:
        self._demanded.append(fault)
        self.wire.add(fault)
        return fault


def _job_type(task: Task | None) -> str | None:
    return task if task is None or isinstance(task, str) else task.job_type
