"""Runs schedules: for each an order, whose worker is killed where the schedule says."""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.faults.killing.oracles import unbalanced, violations
from tests.faults.killing.schedules import Schedule, key_of
from tests.faults.place_order import told_of
from tests.faults.real.overlooked import Overlooked
from tests.faults.real.records import eventually
from tests.faults.real.works import Nursery, Works

AT_ONCE: Final = 20
"""Orders under way at the same moment."""

ATTEMPTS: Final = 5
"""An order whose job another order's kill got hold of first is placed anew, so often at most."""

END_WITHIN: Final = 120.0
"""Seconds: long enough for a job that the engine has lost sight of to be proved so, and freed."""

MET_WITHIN: Final = 5.0
"""Seconds from the saga's end until a worker must have died after a report or a mark."""

SETTLED_WITHIN: Final = 60.0
"""Seconds from the last order's end until the reconcilers must have settled what was in doubt."""

LOOK_EVERY: Final = 0.05

EACH: Final = 2
"""Workers of each service; only the one that is killed is followed by another."""


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        met: schedules whose kill took place, each with its order's key.
        wrong: what is not as it must be.
        preempted: orders whose worker was killed for another order before their own point.
        overlooked: jobs that the engine had lost sight of; it was started again for them.
    """

    seed: int
    met: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    preempted: int = 0
    killed: int = 0
    redelivered: int = 0
    overlooked: int = 0
    seconds: float = 0.0
    settling: float = 0.0

    def __str__(self) -> str:
        return (
            f"{len(self.met)} schedules, {self.killed} workers killed, {len(self.wrong)} violations"
            f" in {self.seconds:.0f} s; {self.redelivered} locks ran out,"
            f" {self.preempted} orders placed anew, {self.overlooked} jobs overlooked;"
            f" nothing in doubt {self.settling:.1f} s later; seed {self.seed}"
        )


class Run:
    """One run on works that have their workers."""

    def __init__(
        self,
        works: Works,
        nursery: Nursery,
        seed: int,
        tell: Callable[[str], None],
        *,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._works = works
        self._tell = tell
        self._attempts = attempts
        self._nursery = nursery
        self._overlooked = Overlooked(works)
        self._under_way: dict[str, tuple[Schedule, int, float]] = {}
        self._ended: dict[str, float] = {}
        self.outcome = Outcome(seed)

    def run(self, schedules: Iterable[Schedule]) -> Outcome:
        """Run all of them, in the seed's order; return what came of it."""
        began = time.monotonic()
        waiting = deque((schedule, 1) for schedule in schedules)
        random.Random(self.outcome.seed).shuffle(waiting)  # noqa: S311  repeatable, no secret
        while waiting or self._under_way:
            # One at a time: orders that go in step lose all their workers to the first of them.
            if waiting and len(self._under_way) < AT_ONCE:
                self._place(*waiting.popleft())
            time.sleep(LOOK_EVERY)
            self._overlooked.free(self._under_way)
            for key in [*self._under_way]:
                waiting.extend(self._look(key))
        self._add_up()
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    def _place(self, schedule: Schedule, attempt: int) -> None:
        key = key_of(schedule, f"{self.outcome.seed:x}", attempt)
        self._under_way[key] = (schedule, attempt, time.monotonic())
        self._works.place(key, schedule.path, own=True)

    def _look(self, key: str) -> Iterable[tuple[Schedule, int]]:
        """See whether an order has come to its end; return the schedule if it's to be run again."""
        schedule, attempt, since = self._under_way[key]
        now, met = time.monotonic(), (self._works.met / key).exists()
        if not self._works.ended(key):
            if now - since > END_WITHIN:
                told = f"{self._works.stuck([key])} {told_of(self._works.stores, key)}"
                self._wrong(schedule, f"not ended: {told}")
                del self._under_way[key]
            return
        ended = self._ended.setdefault(key, now)
        if not met and now - ended < MET_WITHIN:
            return
        del self._under_way[key]
        for violation in violations(self._works, key):
            self._wrong(schedule, violation)
        if met:
            self.outcome.met[schedule.name] = key
            self._tell(f"{len(self.outcome.met):>4}  {schedule.name}")
        elif attempt < self._attempts:
            self.outcome.preempted += 1
            yield schedule, attempt + 1
        else:
            self._wrong(schedule, f"nobody was killed in {self._attempts} orders")

    def _wrong(self, schedule: Schedule, what: str) -> None:
        self.outcome.wrong.append(f"{schedule.name}: {what}")
        self._tell(f"WRONG {schedule.name}: {what}")

    def _add_up(self) -> None:
        self.outcome.wrong += unbalanced(self._works)
        began = time.monotonic()
        while (doubts := self._works.in_doubt()) and time.monotonic() - began < SETTLED_WITHIN:
            time.sleep(LOOK_EVERY)
        self.outcome.settling = time.monotonic() - began
        if doubts:
            self.outcome.wrong.append(f"no orphan: {doubts} effects are in doubt")
        self.outcome.wrong += self._works.errors_logged()
        met = len([*self._works.met.iterdir()])
        eventually(lambda: self._nursery.deaths() >= met, 5, "every worker killed is seen")
        self.outcome.killed = self._nursery.deaths()
        if self.outcome.killed != met:
            self.outcome.wrong.append(f"{met} were to die, {self.outcome.killed} were killed")
        self.outcome.wrong += [f"ended: {event}" for event in self._nursery.ended_by_themselves()]
        jobs = self._works.records.jobs
        self.outcome.redelivered = sum(job.had("TIMED_OUT") for job in jobs.values())
        self.outcome.overlooked = len(self._overlooked.jobs)
        for key in self._overlooked.jobs:
            self._tell(f"overlooked by the engine, and freed: {jobs[key]}")
