"""What a storm breaks: workers, databases and the engine, each in its own rhythm."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from tests.faults.real.works import SERVICES, Nursery, Works

BACK_WITHIN: Final = 120.0
"""Seconds that an engine may take to be back."""


SELDOM: Final = 0.1
"""Share of the faults due below which a storm was none; what is away can't break meanwhile."""


class Climate(NamedTuple):
    """Seconds from one fault to the next of its kind.

    Attributes:
        snapshot: until the engine takes its next snapshot. As shipped it's five minutes: killed
            more often than that, an engine begins, and exports, from its first record each time.
    """

    worker: float = 2.0
    databases: float = 20.0
    engine: float = 60.0
    snapshot: float = 15.0


class Weather:
    """Breaks one thing after the other until it's told to stop.

    Attributes:
        broken: how often each was.
        trouble: what didn't come back.
    """

    def __init__(self, works: Works, nursery: Nursery, seed: int, climate: Climate) -> None:
        self._works = works
        self._nursery = nursery
        self._dice = random.Random(seed)  # noqa: S311  repeatable, no secret
        self._climate = climate
        self._stop = threading.Event()
        self._began = 0.0
        self.broken: Counter[str] = Counter()
        self.trouble: list[str] = []
        self._threads = [
            threading.Thread(target=self._keep, args=(each, act), daemon=True)
            for each, act in (
                (climate.worker, self._kill_a_worker),
                (climate.databases, self._restart_the_databases),
                (climate.engine, self._kill_the_engine),
                (climate.snapshot, self._have_a_snapshot_taken),
            )
        ]

    def start(self) -> None:
        """Begin."""
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Break nothing more; wait until what is being restarted is back."""
        lasted = time.monotonic() - self._began
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.trouble += self._missing(lasted)

    def _missing(self, lasted: float) -> Iterator[str]:
        """Name what should have broken so often and did too seldom: too little is proved then."""
        restarts = [f"{server.wanted.name} restarted" for server in self._works.servers]
        due = {
            "workers killed": self._climate.worker,
            **dict.fromkeys(restarts, self._climate.databases),
            "engines killed": self._climate.engine,
        }
        for what, every in due.items():
            if lasted > 2 * every and self.broken[what] < SELDOM * lasted / every:
                yield f"{what}: {self.broken[what] or 'none'} in {lasted:.0f} s"

    def _keep(self, every: float, act: Callable[[], None]) -> None:
        due = time.monotonic() + every
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            try:
                act()
            except Exception as error:  # noqa: BLE001  the storm's end tells it
                self.trouble.append(f"{act.__name__}: {type(error).__name__}: {error}")
            # What took long to be back works for half of its time at least.
            due = max(due + every, time.monotonic() + every / 2)

    def _kill_a_worker(self) -> None:
        pids = [pid for service in SERVICES for pid in self._nursery.pids(service)]
        if not pids:  # the first of them are still on their way
            return
        with suppress(ProcessLookupError):
            os.kill(self._dice.choice(pids), signal.SIGKILL)
            self.broken["workers killed"] += 1

    def _restart_the_databases(self) -> None:
        for server in self._works.servers:
            server.restart()
            self.broken[f"{server.wanted.name} restarted"] += 1

    def _kill_the_engine(self) -> None:
        if self._works.kill_engine(BACK_WITHIN):
            self.broken["engines killed"] += 1

    def _have_a_snapshot_taken(self) -> None:
        # While the engine is away there is nobody to take one.
        with suppress(OSError):
            self._works.actuator("partitions/takeSnapshot", {})
            self.broken["snapshots asked for"] += 1
