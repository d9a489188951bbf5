"""The life of a worker process that may end, or stand still, at a named point of a named job.

`workers`' own `main`, with a hook at the points that it passes. What is to happen is read from the
environment's DOOM, which nothing but this module knows: a JSON object with `folder`, where a file
for each doom that was met is made, `signal`, which the process sends to itself, and `slow`, the
seconds that each claim takes.

All that a worker imports is imported here: its life begins with a fork, and is to be short.
"""

import json
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psycopg  # noqa: F401  else imported in each life
from sqlalchemy import NullPool, create_engine, select

import workers.inventory
import workers.orders
import workers.payments
import workers.shipping  # noqa: F401
from sagaworks import Refusal
from sagaworks.ledger.points import Point, hooked
from sagaworks.ledger.tables import ledger
from sagaworks.project import Project
from sagaworks.runtime.handler import Handler
from sagaworks.saga import KEY_VARIABLE, JobKey
from sagaworks.settings import Settings
from tests.faults.killing.schedules import MARKS, Schedule, schedule_of
from workers.__main__ import main

WITHDRAWN = "withdrawn"

RECONCILER = "reconciler"
"""How the reconciler's thread is called: it passes the same points with jobs that are over."""


class CustomerWithdrew(Refusal):
    """The customer doesn't want it any more: a test's own no, at the pivot."""


@dataclass
class Visit:
    """One job in this process's hands."""

    key: str
    step: str
    passed: Counter[Point] = field(default_factory=Counter)


class Doom:
    """Sends this process a signal where a saga's key says so, once for each key."""

    def __init__(self, service: str, folder: Path, signal: int, slow: float) -> None:
        self._service = service
        self._folder = folder
        self._signal = signal
        self._slow = slow
        self._visits: dict[JobKey, Visit] = {}
        self._reported: dict[str, Schedule] = {}
        self._meeting = threading.Lock()

    def takes(self, job: JobKey, key: str, step: str) -> None:
        """Note that a job is taken up."""
        self._visits[job] = Visit(key, step)

    def reached(self, point: Point, job: JobKey | None) -> None:
        """Hear how far the worker has got."""
        if threading.current_thread().name.startswith(RECONCILER):
            return
        if job is None:
            self._marks(point)
            return
        visit = self._visits.get(job)
        if visit is None:  # handed back, never taken up
            return
        visit.passed[point] += 1
        if self._slow and point is Point.CLAIMED:
            time.sleep(self._slow)
        schedule = schedule_of(visit.key)
        if schedule and schedule.step == visit.step:
            if point is Point.REPORTED and schedule.point in MARKS:
                self._reported[visit.key] = schedule
            if (point, visit.passed[point]) == (schedule.point, schedule.time):
                self._meet(visit.key)
        if point is Point.EFFECT and visit.step == "confirm_order" and WITHDRAWN in visit.key:
            raise CustomerWithdrew("a test's customer withdraws")

    def _marks(self, point: Point) -> None:
        """Look for the order whose row isn't marked yet, or is by now."""
        for key, schedule in [*self._reported.items()]:
            wanted = self._is_marked(key, schedule.step) is (point is Point.MARKED)
            if schedule.point is point and wanted:
                self._meet(key)

    def _is_marked(self, key: str, step: str) -> bool:
        url = Settings.load(project=Project.load()).database_url(self._service)
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            row = (ledger.c.saga_key == key, ledger.c.step == step)
            found = connection.execute(select(ledger.c.counted_at).where(*row)).scalar()
        engine.dispose()
        return found is not None

    def _meet(self, key: str) -> None:
        # One at a time: two that met theirs at once, on two threads, would have died one death.
        with self._meeting:
            try:
                file = (self._folder / key).open("x")
            except FileExistsError:
                return
            with file:
                file.write(f"{os.getpid()} {time.time()}")
            os.kill(os.getpid(), self._signal)


def live(service: str) -> int:
    """Live a worker's life; return its exit code, if it comes to that."""
    told = json.loads(os.environ.pop("DOOM"))
    doom = Doom(service, Path(told["folder"]), told["signal"], told.get("slow", 0.0))
    handle = Handler.handle

    async def watched(handler: Handler, held) -> None:
        key = json.loads(held.job.variables).get(KEY_VARIABLE, "")
        doom.takes(held.key, key, held.task.name)
        await handle(handler, held)

    Handler.handle = watched
    with hooked(doom.reached):
        return main([service])
