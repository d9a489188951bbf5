"""Jobs that come twice, at once, late, or in another order."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Final

from sagaworks.testing.faults.fault import Act, Fault, PassOn
from sagaworks.testing.faults.jobs import Delivery, Report, SeenJob

_TOGETHER: Final = 0.01
"""Seconds after which nothing more counts as having come together with a saga's last job."""

_UNDOS_TOGETHER: Final = 2.0
"""The same where the diagram says that more undos must be on their way."""

_LOOK_AGAIN: Final = 0.005

_ITS_TURN: Final = 2.0
"""Seconds after which the next one of them goes, though the one before isn't done."""

_DONE_WITHIN: Final = 0.5
"""Seconds that a report is held up for the copies which are to be done before the saga goes on."""


class DeliverTwice(Fault):
    """Deliver each job again as soon as it's done; its report is slow, so the lock has run out."""

    def __init__(self, job_type: str | None = None) -> None:
        """Do it to all jobs, or to those of one type."""
        super().__init__("delivered twice", job_type)
        self._again: dict[int, tuple[Delivery, PassOn]] = {}

    def deliver(self, delivery: Delivery, pass_on: PassOn) -> None:
        """Pass it on, and keep a copy."""
        if self.happens_to(delivery):
            self._again[delivery.job.key] = (again(self, delivery), pass_on)
        pass_on(delivery)

    def report(self, report: Report, act: Act) -> bytes:
        """Hold the first report up until the copy is done too."""
        if kept := self._again.pop(report.job.key, None):
            copy, pass_on = kept
            pass_on(copy)
            self.wire.wait_for(lambda: report.job.said > report.number, _DONE_WITHIN)
        return act()


class DeliverAtOnce(Fault):
    """Deliver each job twice at the same moment, to two workers where there are two."""

    def __init__(self, job_type: str | None = None) -> None:
        """Do it to all jobs, or to those of one type."""
        super().__init__("delivered twice at once", job_type)

    def deliver(self, delivery: Delivery, pass_on: PassOn) -> None:
        """Pass it on together with a copy."""
        if not self.happens_to(delivery):
            pass_on(delivery)
            return
        copy = again(self, delivery)
        with self.wire.changed:
            other = self.wire.outlet_for(delivery.job.type, not_of=delivery.outlet.link)
            copy.outlet = other or copy.outlet
            pass_on(delivery)
            pass_on(copy)

    def report(self, report: Report, act: Act) -> bytes:
        """Hold the first report up until the other delivery is done too."""
        if report.number == 1 and report.job.key in self._met:
            self.wire.wait_for(lambda: report.job.said > 1, _DONE_WITHIN)
        return act()


class DeliverLate(Fault):
    """Hold each delivery up past its lock, until another one of the job is done, and longer.

    It comes when the other is done, and once more before each later report of the same saga is
    passed on: a worker that was stopped for a while may begin with it at any of these moments.
    """

    def __init__(self, job_type: str | None = None) -> None:
        """Do it to all jobs, or to those of one type."""
        super().__init__("delivered late", job_type)
        self._done: set[int] = set()
        self._held: dict[int, list[tuple[Delivery, PassOn]]] = {}

    def deliver(self, delivery: Delivery, pass_on: PassOn) -> None:
        """Hold the first delivery, end its lock, and let the engine's next one pass."""
        if not self.happens_to(delivery):
            pass_on(delivery)
            return
        held = self._held.setdefault(delivery.job.process_instance, [])
        held.append((delivery, pass_on))
        self.wire.later.call(0.0, partial(self.wire.end_lock, delivery.job))

    def report(self, report: Report, act: Act) -> bytes:
        """Let what is held of this saga's done jobs come before a job's first answer counts."""
        if report.answers and report.job.key not in self._done:
            self._done.add(report.job.key)
            held = self._held.get(report.job.process_instance, ())
            self._let_come([one for one in held if one[0].job.key in self._done])
        return act()

    def _let_come(self, held: list[tuple[Delivery, PassOn]]) -> None:
        before = [(delivery.job, delivery.job.said) for delivery, _ in held]
        for delivery, pass_on in held:
            pass_on(again(self, delivery))
        self.wire.wait_for(lambda: all(job.said > said for job, said in before), _DONE_WITHIN)


class DeliverUnderAnotherKey(Fault):
    """Take each job away at its first answer, and deliver it again under another key.

    So it looks to a worker when an operator moves the token back onto the step, or when the engine
    was restored from a backup. The other key is made up on the wire; the engine knows of nothing.
    """

    def __init__(self, job_type: str | None = None) -> None:
        """Do it to all jobs, or to those of one type."""
        super().__init__("delivered under another key", job_type)
        self._renamed: set[int] = set()

    def deliver(self, delivery: Delivery, pass_on: PassOn) -> None:
        """Count a delivery under the other key."""
        if delivery.job.key in self._renamed:
            self._renamed.remove(delivery.job.key)
            delivery = again(self, delivery)
        pass_on(delivery)

    def report(self, report: Report, act: Act) -> bytes:
        """Say that the job is gone, and let it come again."""
        if report.answers and not report.job.is_gone and self.happens_to(report):
            self.wire.rename(report.job)
            self._renamed.add(report.job.key)
            report.afterwards.append(partial(self.wire.end_lock, report.job))
        return act()


class DeliverAfterCancel(Fault):
    """Hold jobs of a type until their saga is cancelled: the answer to them comes too late."""

    def __init__(self, job_type: str) -> None:
        """Do it to the jobs of this type."""
        super().__init__("delivered after the cancel", job_type)
        self._held: dict[int, list[tuple[Delivery, PassOn]]] = {}

    def deliver(self, delivery: Delivery, pass_on: PassOn) -> None:
        """Hold it."""
        if self.happens_to(delivery):
            self._held.setdefault(delivery.job.process_instance, []).append((delivery, pass_on))
            self.wire.notify()
        else:
            pass_on(delivery)

    def holds(self, process_instance: int) -> bool:
        """Say whether a job of this saga is held."""
        return process_instance in self._held

    def cancelled(self, process_instance: int) -> None:
        """Let its jobs come: the engine has cancelled the saga."""
        for delivery, pass_on in self._held.pop(process_instance, ()):
            pass_on(again(self, delivery))


class Shuffle(Fault):
    """Let the jobs of one saga that come together be done one after another, in any order.

    So do all compensations of one throw event come, and the engine promises no order of them.

    Args:
        seed: decides the order; the same for the same jobs.
    """

    def __init__(self, seed: int) -> None:
        """Shuffle by `seed`."""
        super().__init__("together, in another order")
        self._seed = seed
        self._together: dict[int, list[tuple[Delivery, PassOn]]] = {}

    def deliver(self, delivery: Delivery, pass_on: PassOn) -> None:
        """Wait a moment for others that come together with it."""
        saga = delivery.job.process_instance
        with self.wire.changed:
            group = self._together.setdefault(saga, [])
            group.append((delivery, pass_on))
            pause = _UNDOS_TOGETHER if self.wire.awaits_more_undos(delivery.job) else _TOGETHER
            self.wire.later.call(pause, partial(self._let_go, saga, len(group)))

    def _let_go(self, saga: int, come: int) -> None:
        with self.wire.changed:
            if len(self._together.get(saga, ())) != come:
                return
            group = self._together.pop(saga)
        if len({delivery.job.key for delivery, _ in group}) > 1:
            self._shuffle(group)
            self.count(", ".join(str(delivery.job) for delivery, _ in group))
        self._next_of(group)

    def _shuffle(self, group: list[tuple[Delivery, PassOn]]) -> None:
        # Not by the order in which threads happened to bring them.
        group.sort(key=lambda one: (one[0].job.type, one[0].job.key))
        names = " ".join(delivery.job.type for delivery, _ in group)
        Random(f"{self._seed} {names}").shuffle(group)  # noqa: S311  no secret

    def _next_of(self, group: list[tuple[Delivery, PassOn]]) -> None:
        """Pass one on; the next follows when it's reported, or has had its time."""
        delivery, pass_on = group.pop(0)
        pass_on(delivery)
        if group:
            reports = len(delivery.job.reports)
            self._when_reported(delivery.job, reports, _ITS_TURN, partial(self._next_of, group))

    def _when_reported(self, job: SeenJob, reports: int, left: float, then: partial[None]) -> None:
        if left <= 0 or len(job.reports) > reports:
            then()
            return
        look = partial(self._when_reported, job, reports, left - _LOOK_AGAIN, then)
        self.wire.later.call(_LOOK_AGAIN, look)


def again(fault: Fault, delivery: Delivery) -> Delivery:
    """Return a copy that counts for the fault once a worker has it."""
    copy = delivery.copy(fault)
    copy.taken = partial(fault.count, str(delivery.job))
    return copy
