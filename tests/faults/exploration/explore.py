"""Plays schedules on several processes, each with databases of its own."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.exploration import plan
from tests.faults.exploration.databases import Urls
from tests.faults.exploration.paths import PATHS
from tests.faults.exploration.run import play
from tests.faults.exploration.schedule import Schedule
from tests.faults.exploration.world import World

BATCH: Final = 20
"""Schedules that a process is given at once."""

AHEAD: Final = 2
"""Batches that wait for each process, so that none stands idle."""


@dataclass
class Found:
    """What was played so far.

    Attributes:
        played: how many schedules, by kind of database.
        faults: how many faults happened, by their kind.
        bad: those that broke something or proved nothing: kind of database, name, what they told.
        pairs: those that a crash made possible: what a second crash can meet.
    """

    played: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[str, str, str]] = field(default_factory=list)
    pairs: list[str] = field(default_factory=list)

    def take(self, other: Found) -> None:
        """Add what another has found."""
        self.played += other.played
        self.faults += other.faults
        self.bad += other.bad
        self.pairs += other.pairs


class Explorers:
    """Processes that play schedules; see `started`."""

    def __init__(self, pool: ProcessPoolExecutor, processes: int) -> None:
        """Use a pool whose processes have opened their databases."""
        self._pool = pool
        self._most = processes * (1 + AHEAD)

    @classmethod
    @contextmanager
    def started(cls, urls: Sequence[Mapping[str, Urls]]) -> Iterator[Explorers]:
        """Start one process for each set of databases: for each kind, its URLs by service."""
        fresh = multiprocessing.get_context("spawn")
        given = fresh.Queue()
        for one in urls:
            given.put(one)
        with ProcessPoolExecutor(len(urls), fresh, _open, (given,)) as pool:
            yield cls(pool, len(urls))

    def singles(self, kind: str) -> list[str]:
        """Return every schedule of one fault on a kind of database, by tracing every path."""
        traced = self._pool.map(_trace, [kind] * len(PATHS), PATHS)
        return [name for names in traced for name in names]

    def play(
        self, kind: str, names: Sequence[str], on: Callable[[Found], None] = lambda _: None
    ) -> Found:
        """Play schedules; `on` is told of each batch."""
        found, running = Found(), set[Future[Found]]()
        left = deque(names[at : at + BATCH] for at in range(0, len(names), BATCH))
        while left or running:
            while left and len(running) < self._most:
                running.add(self._pool.submit(_play, kind, left.popleft()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for batch in done:
                found.take(batch.result())
                on(batch.result())
        return found


_PR_SET_PDEATHSIG: Final = 1

_worlds: Final[dict[str, World]] = {}
"""Those of this process, by kind of database."""

_open_worlds: Final = ExitStack()


def _open(given: Any) -> None:
    _end_with_parent()
    for kind, urls in given.get().items():
        _worlds[kind] = _open_worlds.enter_context(World.opened(urls))


def _end_with_parent() -> None:
    """Have the kernel end this process when its parent ends, however that comes (Linux)."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _trace(kind: str, path: str) -> list[str]:
    verdict = play(_worlds[kind], Schedule(path))
    if not verdict.is_good:
        raise AssertionError(f"{path} on {kind}, with no fault at all:\n{verdict.story()}")
    return [str(one) for one in plan.singles(verdict, kind)]


def _play(kind: str, names: Sequence[str]) -> Found:
    found = Found()
    for name in names:
        schedule = Schedule.parse(name)
        verdict = play(_worlds[kind], schedule)
        found.played[kind] += 1
        found.faults.update(fault.kind for fault in schedule.faults if fault not in verdict.missed)
        if not verdict.is_good:
            found.bad.append((kind, name, verdict.story()))
        elif plan.may_be_followed(schedule):
            found.pairs += [str(one) for one in plan.pairs(verdict)]
    return found
