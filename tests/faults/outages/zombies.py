"""Workers that stand still at a named point, past their job's lock, and then go on."""

import os
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.faults.killing.oracles import unbalanced, violations
from tests.faults.killing.schedules import MARKS, SCHEDULES, Schedule, key_of
from tests.faults.outages.load import Seen
from tests.faults.real.overlooked import Overlooked
from tests.faults.real.works import Nursery, Works

AT_ONCE: Final = 8
ATTEMPTS: Final = 5
END_WITHIN: Final = 150.0
AWAKE_FOR: Final = 2.0
"""Seconds that a woken worker goes on for, before it's asked to end."""

LOOK_EVERY: Final = 0.05

SLEEPERS: Final = tuple(s for s in SCHEDULES if s.point not in MARKS and s.path != "overdue")


@dataclass
class Sleeper:
    """One order whose worker stands still.

    Attributes:
        wake: what must have happened before it goes on.
        pid: the worker's, once it stands still.
        woken: when it was told to go on.
    """

    schedule: Schedule
    attempt: int
    wake: str
    placed: float
    pid: int = 0
    woken: float = 0.0
    asked: bool = False


class Zombies:
    """Lets workers stand still and go on, one for each order."""

    def __init__(self, works: Works, nursery: Nursery, seed: int) -> None:
        self._works = works
        self._nursery = nursery
        self._run = f"z{seed:x}-{time.time_ns():x}"
        self._sleepers: dict[str, Sleeper] = {}
        self._dice = random.Random(seed)  # noqa: S311  repeatable, no secret
        self._overlooked = Overlooked(works)
        self.seen = Seen("zombies")
        self.harmless = 0
        self.woken: Counter[str] = Counter()

    def run(self, count: int) -> Seen:
        """Have so many of them; return what was seen."""
        chosen = self._dice.sample(SLEEPERS, count)
        waiting = deque((schedule, 1) for schedule in chosen)
        while waiting or self._sleepers:
            if waiting and len(self._sleepers) < AT_ONCE:
                self._place(*waiting.popleft())
            time.sleep(LOOK_EVERY)
            self._overlooked.free(self._sleepers)
            for key in [*self._sleepers]:
                waiting.extend(self._look(key))
        self.seen.wrong += [*unbalanced(self._works)]
        self.seen.wrong += [f"ended: {each}" for each in self._nursery.ended_by_themselves()]
        self.seen.figures |= {"zombies": count, "harmless": self.harmless, **self.woken}
        self.seen.figures |= self._overlooked.figure
        return self.seen

    def _place(self, schedule: Schedule, attempt: int) -> None:
        key = key_of(schedule, self._run, attempt)
        wake = self._dice.choice([*WAKES])
        self._sleepers[key] = Sleeper(schedule, attempt, wake, time.monotonic())
        self._works.place(key, schedule.path, own=True)

    def _look(self, key: str) -> Iterator[tuple[Schedule, int]]:
        sleeper = self._sleepers[key]
        if time.monotonic() - sleeper.placed > END_WITHIN:
            self._wrong(key, f"it doesn't end: {self._works.stuck([key])}")
        elif not sleeper.pid and (self._works.met / key).exists():
            sleeper.pid = int((self._works.met / key).read_text().partition(" ")[0] or 0)
        elif sleeper.pid and not sleeper.woken:
            self._wake(key, sleeper)
        elif sleeper.woken and time.monotonic() - sleeper.woken > AWAKE_FOR:
            self._end(key, sleeper)
        elif not sleeper.pid and self._works.ended(key):
            yield from self._again(key, sleeper)

    def _wake(self, key: str, sleeper: Sleeper) -> None:
        if WAKES[sleeper.wake](self._works, key, sleeper.schedule.step):
            os.kill(sleeper.pid, signal.SIGCONT)
            sleeper.woken = time.monotonic()
            self.woken[f"woken when {sleeper.wake}"] += 1

    def _end(self, key: str, sleeper: Sleeper) -> None:
        """See the worker end in order, and the saga end as due."""
        if not sleeper.asked:
            sleeper.asked = True
            self._nursery.terminate(sleeper.pid)
        if self._nursery.exit_code(sleeper.pid) is None or not self._works.ended(key):
            return
        del self._sleepers[key]
        found = [*violations(self._works, key)]
        self.seen.wrong += [f"{key}: {violation}" for violation in found]
        self.harmless += not found

    def _again(self, key: str, sleeper: Sleeper) -> Iterator[tuple[Schedule, int]]:
        """Place another order where this one's worker stood still for somebody else's."""
        del self._sleepers[key]
        if sleeper.attempt < ATTEMPTS:
            yield sleeper.schedule, sleeper.attempt + 1
        else:
            self.seen.wrong.append(f"{key}: nobody stood still")

    def _wrong(self, key: str, what: str) -> None:
        del self._sleepers[key]
        self.seen.wrong.append(f"{key}: {what}")


Wake = Callable[[Works, str, str], bool]


def _lock_ran_out(works: Works, key: str, step: str) -> bool:
    return _had(works, key, step, "TIMED_OUT") or works.ended(key)


def _job_is_done(works: Works, key: str, step: str) -> bool:
    return _had(works, key, step, "COMPLETED", "ERROR_THROWN") or works.ended(key)


def _saga_has_ended(works: Works, key: str, step: str) -> bool:
    return works.ended(key)


def _had(works: Works, key: str, step: str, *events: str) -> bool:
    jobs = (job for job in works.jobs_of(key) if job.type.endswith(step))
    return any(job.had(each) for job in jobs for each in events)


WAKES: Final[dict[str, Wake]] = {
    "its lock had run out": _lock_ran_out,
    "its job was done by another": _job_is_done,
    "its saga had ended": _saga_has_ended,
}


def zombies(works: Works, count: int, seed: int = 1) -> Seen:
    """Let so many workers stand still, each at a point of a job, and go on when it's too late."""
    with works.work(number=signal.SIGSTOP) as nursery:
        return Zombies(works, nursery, seed).run(count)
