"""A storm: thousands of sagas on few accounts and articles, while everything breaks."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.killing.oracles import unbalanced, violations
from tests.faults.killing.run import SETTLED_WITHIN
from tests.faults.killing.schedules import PATHS
from tests.faults.outages.load import DUPLICATE, PATIENT, WAYS
from tests.faults.real.overlooked import Overlooked
from tests.faults.real.records import eventually
from tests.faults.real.works import Nursery, Works
from tests.storm.reader import Reader
from tests.storm.weather import Climate, Weather

HOT: Final = 10
"""Accounts, and articles."""

EACH: Final = 2
"""Workers of each service."""

IN_FLIGHT: Final = 200
"""Sagas under way from which on no more are started: the storm may outrun the machine."""

CALM: Final = 100
"""Sagas from which the ceiling is measured, before anything breaks."""

CALM_WITHIN: Final = 300.0

TERMINAL_WITHIN: Final = 120.0
"""Seconds from the storm's end until each saga must have ended."""

STILL_FOR: Final = 300.0
"""Seconds without room for one more saga, after which nothing goes on any more."""

TELL_EVERY: Final = 10.0


@dataclass
class Aftermath:
    """What a storm has left behind.

    Attributes:
        figures: what was seen, by name with its unit.
        wrong: what isn't as it must be.
    """

    seed: int
    figures: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = [f"  {name}: {value:g}" for name, value in self.figures.items()]
        return "\n".join([f"storm of seed {self.seed}", *told, f"  violations: {len(self.wrong)}"])


class Storm:
    """One storm over works that have their workers.

    Args:
        seed: decides each saga's fate, account and article, and who is killed.
        rate: sagas started a second, at most; never more than half of what the machine can do.
        terminal_within: seconds from the storm's end until each saga must have ended.
    """

    def __init__(
        self,
        works: Works,
        nursery: Nursery,
        seed: int,
        rate: float,
        tell: Callable[[str], None],
        *,
        climate: Climate | None = None,
        terminal_within: float = TERMINAL_WITHIN,
    ) -> None:
        self._works = works
        self._nursery = nursery
        self._rate = rate
        self._tell = tell
        self._terminal_within = terminal_within
        self._dice = random.Random(seed)  # noqa: S311  repeatable, no secret
        self._weather = Weather(works, nursery, seed, climate or Climate())
        self._reader = Reader(works)
        self._under_way: set[str] = set()
        self.aftermath = Aftermath(seed)

    def run(self, sagas: int) -> Aftermath:
        """Start so many sagas, break what there is meanwhile, and judge all of it."""
        self._reader.start()
        self._measure()
        began = time.monotonic()
        self._weather.start()
        try:
            self._start_all(sagas)
        finally:
            self._weather.stop()
        over = time.monotonic()
        self._await_ends(over + self._terminal_within)
        figures = self.aftermath.figures
        figures["seconds"] = round(over - began, 1)
        figures["seconds until the last saga had ended"] = round(time.monotonic() - over, 1)
        self._await_settled()
        self._reader.stop()
        figures |= self._weather.broken
        self._judge()
        return self.aftermath

    def _measure(self) -> None:
        """Find out in calm how many sagas a second end here, and keep to half of that."""
        self._place("warm-up", 1)
        eventually(lambda: not self._open(), CALM_WITHIN, "a first saga ends")
        began = time.monotonic()
        for number in range(CALM):
            self._place("calm", number)
        eventually(lambda: not self._open(), CALM_WITHIN, "the sagas before the storm end")
        ceiling = CALM / (time.monotonic() - began)
        self._rate = min(self._rate, ceiling / 2)
        figures = self.aftermath.figures
        figures["ceiling, sagas/s"], figures["rate, sagas/s"] = ceiling, self._rate
        self._tell(f"{ceiling:.1f} sagas/s end in calm; {self._rate:.1f} are started")

    def _start_all(self, sagas: int) -> None:
        due = told = time.monotonic()
        for number in range(sagas):
            self._place("storm", number)
            # A pause that a fault has made isn't made up for at more than the rate.
            due = max(due + 1 / self._rate, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            if not self._has_room():
                self.aftermath.wrong.append(f"progress: none for {STILL_FOR:.0f} s")
                return
            if time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                self._tell_progress(number + 1, sagas)

    def _has_room(self) -> bool:
        """Wait while too many sagas are under way; say whether they still go on."""
        until = time.monotonic() + STILL_FOR
        while len(self._open()) > IN_FLIGHT:
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    def _tell_progress(self, started: int, sagas: int) -> None:
        broken = ", ".join(f"{count} {what}" for what, count in [*self._weather.broken.items()])
        under_way = len(self._open())
        self._tell(f"{started} of {sagas} started, {under_way} under way; {broken or 'calm'}")

    def _place(self, name: str, number: int) -> None:
        [way] = self._dice.choices([*WAYS], [*WAYS.values()])
        key = f"{name}{self.aftermath.seed:x}.{way}.{number}"
        self._works.place(key, way, **PATIENT, **self._hot(way))
        self._under_way.add(key)

    def _hot(self, way: str) -> dict[str, Any]:
        """Choose an account and an article, unless the way that the order goes names its own."""
        chosen = {
            "card": f"card-{self._dice.randint(1, HOT):02}",
            "sku": f"item-{self._dice.randint(1, HOT):02}",
        }
        return {name: value for name, value in chosen.items() if name not in PATHS[way].changes}

    def _open(self) -> set[str]:
        self._under_way = {key for key in self._under_way if not self._works.ended(key)}
        return self._under_way

    def _await_ends(self, until: float) -> None:
        overlooked = Overlooked(self._works)
        while (still_open := self._open()) and time.monotonic() < until:
            overlooked.free(still_open)
            time.sleep(0.1)
        for key, why in self._works.stuck(self._open()).items():
            self.aftermath.wrong.append(f"terminal: {key} hasn't ended: {why}")
        self.aftermath.figures |= overlooked.figure

    def _await_settled(self) -> None:
        """Wait until the reconcilers have settled what the storm has left in doubt."""
        began = time.monotonic()
        self._works.forget_connections()
        while (doubts := self._works.in_doubt()) and time.monotonic() - began < SETTLED_WITHIN:
            time.sleep(0.1)
        settled = round(time.monotonic() - began, 1)
        self.aftermath.figures["seconds until nothing was in doubt"] = settled
        if doubts:
            self.aftermath.wrong.append(f"no orphan: {doubts} effects are in doubt")

    def _judge(self) -> None:
        wrong, works = self.aftermath.wrong, self._works
        for key in works.ways:
            if works.ended(key):
                wrong += [f"{key}: {each}" for each in violations(works, key)]
        wrong += [*unbalanced(works), *self._reader.wrong, *self._weather.trouble]
        if not self._reader.sums:
            wrong.append("conserved: nobody could add up anything")
        wrong += [f"ended: {each}" for each in self._nursery.ended_by_themselves()]
        placed = {started.process_instance for started in works.placed.values()}
        others = [i for i in works.records.incidents if i["processInstanceKey"] not in placed]
        wrong += [i["errorMessage"] for i in others if DUPLICATE not in i["errorMessage"]]
        figures = self.aftermath.figures
        figures["sagas"] = len(works.ways)
        figures["doomed"] = sum(way != "ships" for way in works.ways.values())
        at_end = works.records.at_end
        ended = Counter(
            at_end.get(one.process_instance, "nothing") for one in works.placed.values()
        )
        figures |= {f"ended at {event}": count for event, count in ended.items()}
        jobs = works.records.jobs.values()
        figures["jobs"] = len(jobs)
        figures["locks that ran out"] = sum(job.had("TIMED_OUT") for job in jobs)
        figures["retries used"] = sum(job.burnt for job in jobs if job.instance in placed)
        figures["second instances halted"] = len(others)
        figures["sums of money or stock read"] = self._reader.sums
        figures["sums a database couldn't give"] = self._reader.missed
