"""The wire between workers and the real engine: everything passes, and faults happen on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import grpc
from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.diagram import EVERYTHING, read_diagram
from sagaworks.errors import ContractError
from sagaworks.testing.faults.engine import Engine
from sagaworks.testing.faults.fault import Act, Answered, Fault, PassOn
from sagaworks.testing.faults.jobs import Delivery, Report, SeenJob
from sagaworks.testing.faults.later import Later
from sagaworks.testing.faults.link import Link
from sagaworks.testing.faults.outlets import Outlet

_ANOTHER_KEY: Final = 1 << 40
"""What a job's key grows by; within a partition the engine counts up from 2^51."""


class Wire:
    """All ways between workers and one engine.

    Args:
        engine: the real one.

    Attributes:
        changed: the lock of all that is waited for here; notified of every change.
        jobs: every job seen, by each key that a worker knows it by.
        later: for what happens after a time.
        undone_at_once: in diagrams deployed over this wire whose throw events undo everything, the
            job types of the compensations and of what they undo.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.changed = threading.Condition(threading.RLock())
        self.jobs: dict[int, SeenJob] = {}
        self.later = Later()
        self.undone_at_once: dict[str, str] = {}
        self._begun = time.monotonic()
        self._faults: list[Fault] = []
        self._links: list[Link] = []
        self._outlets: list[Outlet] = []
        self._stranded: list[Delivery] = []
        self._retired: set[int] = set()
        self._story: list[str] = []

    def close(self) -> None:
        """Cut every link and leave the engine alone."""
        for link in self._links:
            link.cut()
        self.later.close()
        self.engine.close()

    def open_link(self) -> Link:
        """Open one more way to the engine, with an address of its own."""
        link = Link(self)
        self._links.append(link)
        return link

    def add(self, fault: Fault) -> None:
        """Let a fault happen; those added first are nearest to the engine."""
        fault.put_on(self)
        self._faults.append(fault)

    def arrive(self, message: pb.ActivatedJob, outlet: Outlet) -> None:
        """Take a job that the engine has handed out, and let it meet the faults."""
        with self.changed:
            job = self.jobs.get(message.key) or SeenJob(
                message.key, message.type, message.processInstanceKey, message.retries, message.key
            )
            self.jobs[job.key] = job
            job.retries, job.is_gone = message.retries, False
            message.key = job.known_as
        pass_on: PassOn = self.deliver
        for fault in reversed(self._faults):
            pass_on = partial(fault.deliver, pass_on=pass_on)
        pass_on(Delivery(job, message, outlet))

    def deliver(self, delivery: Delivery) -> None:
        """Let a worker have a delivery: the one it's meant for, or who else takes such jobs."""
        with self.changed:
            if not delivery.outlet.is_read:
                # Its poll is over, or its worker gone; who else takes such jobs?
                other = self.outlet_for(delivery.job.type)
                if other is None:
                    self._stranded.append(delivery)
                    return
                delivery.outlet = other
            delivery.outlet.waiting.append(delivery)
            self.changed.notify_all()

    def outlet_for(self, job_type: str, *, not_of: Link | None = None) -> Outlet | None:
        """Return a way for jobs of this type, one that is read now before one that will be polled.

        Under the lock.
        """
        found = [
            outlet
            for outlet in self._outlets
            if outlet.open and outlet.job_type == job_type and outlet.link is not not_of
        ]
        return max(found, key=lambda outlet: outlet.is_read, default=None)

    def open_outlet(self, outlet: Outlet) -> None:
        """Let a worker's new stream or mailbox have jobs."""
        with self.changed:
            self._outlets.append(outlet)
            mine = [one for one in self._stranded if one.job.type == outlet.job_type]
            self._stranded = [one for one in self._stranded if one not in mine]
            for delivery in mine:
                delivery.outlet = outlet
            outlet.waiting.extend(mine)

    def close_outlet(self, outlet: Outlet, answer: Answered | None = None) -> None:
        """End a way to a worker; what waits in it goes to another."""
        with self.changed:
            outlet.end(answer)
            if outlet in self._outlets:
                self._outlets.remove(outlet)
            left, outlet.waiting = list(outlet.waiting), type(outlet.waiting)()
            for delivery in left:
                self.deliver(delivery)
            self.changed.notify_all()

    def take(self, outlet: Outlet, most: int) -> list[pb.ActivatedJob]:
        """Hand over what waits; under the lock."""
        deliveries = outlet.take(most)
        for delivery in deliveries:
            delivery.job.taken += 1
            delivery.job.holder = outlet.link
            self.tell(f"delivered {delivery.job}")
            if delivery.taken:
                delivery.taken()
        self.changed.notify_all()
        return [delivery.message for delivery in deliveries]

    def take_report(self, method: str, job: SeenJob) -> Report:
        """Note that a report has come in."""
        with self.changed:
            job.said += 1
            self.changed.notify_all()
            return Report(method, job, job.said)

    def report(self, report: Report, act: Act) -> bytes:
        """Make a worker's report, unless a fault stands in its way.

        Raises:
            Answered: what the worker is answered instead of a reply.
        """
        make: Act = partial(self._record, report, act)
        for fault in self._faults:
            make = partial(fault.report, report, make)
        return make()

    def rename(self, job: SeenJob) -> None:
        """Let workers know a job by another key from now on; the one before is gone to them."""
        with self.changed:
            self._retired.add(job.known_as)
            job.known_as += _ANOTHER_KEY
            self.jobs[job.known_as] = job

    def key_of(self, known_as: int) -> int:
        """Return the engine's key of what a worker knows by this one.

        Raises:
            Answered: NOT_FOUND, if that key is gone.
        """
        with self.changed:
            if known_as in self._retired:
                message = f"job {known_as}: a fault test has given it another key"
                raise Answered(grpc.StatusCode.NOT_FOUND, message)
            job = self.jobs.get(known_as)
            return job.key if job else known_as

    def end_lock(self, job: SeenJob) -> None:
        """Let the engine hand a job out again, as it does when a lock runs out."""
        self.tell(f"lock of {job} ends")
        if not self.engine.end_lock(job.key, job.retries):
            job.is_gone = True

    def wait_for(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until `condition` holds; say whether it does."""
        with self.changed:
            return bool(self.changed.wait_for(condition, seconds))

    def deployed(self, name: str, content: bytes) -> None:
        """Learn from a diagram which jobs come at once to undo others."""
        with suppress(ContractError):
            diagram = read_diagram(Path(name), content)
            if {*diagram.throws.values()} == {EVERYTHING}:
                for task in diagram.tasks.values():
                    if task.undoes in diagram.tasks:
                        undone = diagram.tasks[task.undoes].job_type
                        self.undone_at_once[task.job_type] = undone

    def awaits_more_undos(self, undo: SeenJob) -> bool:
        """Say whether the engine is about to hand out more undos together with this one."""
        if undo.type not in self.undone_at_once:
            return False
        of_saga = [
            job for job in self.jobs.values() if job.process_instance == undo.process_instance
        ]
        come = {job.type for job in of_saga}
        done = {job.type for job in of_saga if "CompleteJob OK" in job.reports}
        return any(
            step in done and handler not in come for handler, step in self.undone_at_once.items()
        )

    def cancelled(self, process_instance: int) -> None:
        """Tell the faults that a saga was cancelled."""
        self.tell(f"process instance {process_instance} cancelled")
        for fault in self._faults:
            fault.cancelled(process_instance)

    def notify(self) -> None:
        """Let whoever waits here look again."""
        with self.changed:
            self.changed.notify_all()

    def tell(self, what: str) -> None:
        """Add a line to the story."""
        self._story.append(f"{time.monotonic() - self._begun:8.3f} s  {what}")

    def story(self) -> str:
        """Tell what happened here, for a person who reads a failed test."""
        return "\n".join(self._story) or "nothing passed"

    def _record(self, report: Report, act: Act) -> bytes:
        try:
            reply = act()
        except Answered as answer:
            self._note(report, answer.code)
            raise
        self._note(report, grpc.StatusCode.OK)
        return reply

    def _note(self, report: Report, code: grpc.StatusCode) -> None:
        with self.changed:
            report.job.reports.append(f"{report.method} {code.name}")
            if code is grpc.StatusCode.NOT_FOUND or (report.answers and code is grpc.StatusCode.OK):
                report.job.is_gone = True
            if report.job.is_gone or code is grpc.StatusCode.OK:
                report.job.holder = None
            self.tell(f"{report.method} {report.job} -> {code.name}")
            self.changed.notify_all()
