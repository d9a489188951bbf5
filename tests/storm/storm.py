"""A storm: thousands of sagas on few accounts and articles, while everything breaks."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.killing.oracles import unbalanced, violations
from tests.faults.killing.schedules import PATHS
from tests.faults.outages.load import DUPLICATE, PATIENT, WAYS
from tests.faults.real.works import Nursery, Works
from tests.storm.reader import Reader
from tests.storm.weather import Weather

HOT: Final = 10
"""Accounts, and articles."""

EACH: Final = 2
"""Workers of each service."""

IN_FLIGHT: Final = 200
"""Sagas under way from which on no more are started: the storm may outrun the machine."""

TERMINAL_WITHIN: Final = 120.0
"""Seconds from the storm's end until each saga must have ended."""

TELL_EVERY: Final = 10.0


@dataclass
class Aftermath:
    """What a storm has left behind."""

    seed: int
    figures: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = ", ".join(f"{name} {value:g}" for name, value in self.figures.items())
        return f"storm of seed {self.seed}: {told}; {len(self.wrong)} violations"


class Storm:
    """One storm over works that have their workers.

    Args:
        rate: sagas started a second, at most.
    """

    def __init__(
        self, works: Works, nursery: Nursery, seed: int, rate: float, tell: Callable[[str], None]
    ) -> None:
        self._works = works
        self._nursery = nursery
        self._rate = rate
        self._tell = tell
        self._dice = random.Random(seed)  # noqa: S311  repeatable, no secret
        self._weather = Weather(works, nursery, seed)
        self._reader = Reader(works)
        self._told = threading.Event()
        self.aftermath = Aftermath(seed)

    def run(self, sagas: int) -> Aftermath:
        """Start so many sagas, break what there is meanwhile, and judge all of it."""
        began = time.monotonic()
        self._reader.start()
        self._weather.start()
        try:
            self._start_all(sagas)
        finally:
            self._weather.stop()
        over = time.monotonic()
        self._await_ends(over + TERMINAL_WITHIN)
        self._reader.stop()
        figures = self.aftermath.figures
        figures["sagas"] = sagas
        figures["seconds"] = round(over - began, 1)
        figures["seconds until the last had ended"] = round(time.monotonic() - over, 1)
        figures |= {**self._weather.broken, "sums read": self._reader.sums}
        self._judge()
        return self.aftermath

    def _start_all(self, sagas: int) -> None:
        due = told = time.monotonic()
        for number in range(sagas):
            [way] = self._dice.choices([*WAYS], [*WAYS.values()])
            key = f"storm{self.aftermath.seed:x}.{way}.{number}"
            self._works.place(key, way, **PATIENT, **self._hot(way))
            due = max(due + 1 / self._rate, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))
            while len(self._open()) > IN_FLIGHT:
                time.sleep(0.1)
            if time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                self._tell(f"{number + 1} started, {len(self._open())} under way")

    def _hot(self, way: str) -> dict[str, Any]:
        """Choose an account and an article, unless the way that the order goes names its own."""
        chosen = {
            "card": f"card-{self._dice.randint(1, HOT):02}",
            "sku": f"item-{self._dice.randint(1, HOT):02}",
        }
        return {name: value for name, value in chosen.items() if name not in PATHS[way].changes}

    def _open(self) -> list[str]:
        return [key for key in [*self._works.ways] if not self._works.ended(key)]

    def _await_ends(self, until: float) -> None:
        while self._open() and time.monotonic() < until:
            time.sleep(0.1)
        self.aftermath.wrong += [f"terminal: {key} hasn't ended" for key in self._open()]

    def _judge(self) -> None:
        wrong, works = self.aftermath.wrong, self._works
        works.forget_connections()
        for key in works.ways:
            if works.ended(key):
                wrong += [f"{key}: {each}" for each in violations(works, key)]
        wrong += [*unbalanced(works), *self._reader.wrong, *self._weather.trouble]
        wrong += [f"ended: {each}" for each in self._nursery.ended_by_themselves()]
        placed = {started.process_instance for started in works.placed.values()}
        others = [i for i in works.records.incidents if i["processInstanceKey"] not in placed]
        wrong += [i["errorMessage"] for i in others if DUPLICATE not in i["errorMessage"]]
        figures = self.aftermath.figures
        figures["second instances halted"] = len(others)
        figures["doomed"] = sum(way != "ships" for way in works.ways.values())
        jobs = works.records.jobs.values()
        figures["locks that ran out"] = sum(job.had("TIMED_OUT") for job in jobs)
        ended = Counter(works.records.at_end[s.process_instance] for s in works.placed.values())
        figures |= {f"ended at {event}": count for event, count in ended.items()}
