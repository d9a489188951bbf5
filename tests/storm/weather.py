"""What a storm breaks: workers, databases and the engine, each in its own rhythm."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sagaworks.engine import local
from tests.faults.real.records import eventually
from tests.faults.real.works import SERVICES, Nursery, Works

WORKER_EVERY: Final = 2.0
DATABASE_EVERY: Final = 20.0
ENGINE_EVERY: Final = 60.0
"""Seconds from one to the next."""

BACK_WITHIN: Final = 120.0


class Weather:
    """Breaks one thing after the other until it's told to stop.

    Attributes:
        broken: how often each was.
        trouble: what didn't come back.
    """

    def __init__(self, works: Works, nursery: Nursery, seed: int) -> None:
        self._works = works
        self._nursery = nursery
        self._dice = random.Random(seed)  # noqa: S311  repeatable, no secret
        self._stop = threading.Event()
        self.broken: Counter[str] = Counter()
        self.trouble: list[str] = []
        self._threads = [
            threading.Thread(target=self._keep, args=(each, act), daemon=True)
            for each, act in (
                (WORKER_EVERY, self._kill_a_worker),
                (DATABASE_EVERY, self._restart_a_database),
                (ENGINE_EVERY, self._kill_the_engine),
            )
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Break nothing more; wait until what is being restarted is back."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _keep(self, every: float, act: Callable[[], None]) -> None:
        due = time.monotonic() + every
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += every
            try:
                act()
            except Exception as error:  # noqa: BLE001  the storm's end tells it
                self.trouble.append(f"{act.__name__}: {type(error).__name__}: {error}")

    def _kill_a_worker(self) -> None:
        pids = [pid for service in SERVICES for pid in self._nursery.pids(service)]
        if not pids:  # the first of them are still on their way
            return
        with suppress(ProcessLookupError):
            os.kill(self._dice.choice(pids), signal.SIGKILL)
            self.broken["workers killed"] += 1

    def _restart_a_database(self) -> None:
        server = self._dice.choice(self._works.servers)
        server.restart()
        self.broken[f"{server.wanted.name} restarted"] += 1

    def _kill_the_engine(self) -> None:
        before = local.status(self._works.of_engine)
        if before is None or not before.ready:
            return
        os.kill(before.pid, signal.SIGKILL)
        self.broken["engines killed"] += 1
        eventually(lambda: self._is_back(before.pid), BACK_WITHIN, "the engine is ready again")

    def _is_back(self, gone: int) -> bool:
        found = local.status(self._works.of_engine)
        return bool(found and found.pid != gone and found.ready)
