"""Orders that keep coming while something breaks, and what must be true of them afterwards."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.killing.oracles import unbalanced, violations
from tests.faults.real.overlooked import Overlooked
from tests.faults.real.records import eventually
from tests.faults.real.works import Nursery, Works

WAYS: Final = {
    "ships": 80,
    "nothing-ordered": 4,
    "sold-out": 4,
    "declined": 4,
    "no-carrier": 4,
    "withdrawn": 4,
}
"""Of a hundred orders: one in five is doomed."""

PATIENT: Final = {"pay_within": "PT24H"}
"""No order is given up because a fault takes longer than a card's holder may."""

FLOWS: Final = 5
"""Orders that must have ended before anything breaks."""

DUPLICATE: Final = "belongs to process instance"

ENDS_WITHIN: Final = 180.0
"""Seconds from the end of faults and orders until the last saga must have ended."""


class Load:
    """Places orders, so many a second, until it's told to stop.

    Attributes:
        keys: of all orders placed.
    """

    def __init__(self, works: Works, name: str, rate: float, seed: int) -> None:
        self._works = works
        self._name = name
        self._pause = 1 / rate
        self._dice = random.Random(seed)  # noqa: S311  repeatable, no secret
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.keys: list[str] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Place no more."""
        self._stop.set()
        self._thread.join()

    def ended(self) -> int:
        """How many have come to their end."""
        return sum(map(self._works.ended, self.keys))

    def open(self) -> list[str]:
        """Those that haven't ended."""
        return [key for key in self.keys if not self._works.ended(key)]

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            [way] = self._dice.choices([*WAYS], [*WAYS.values()])
            key = f"{self._name}.{way}.{len(self.keys)}"
            self.keys.append(key)
            self._works.place(key, way, **PATIENT)


@dataclass
class Seen:
    """What was seen of one fault.

    Attributes:
        figures: measured, by name with its unit.
        wrong: what isn't as it must be.
    """

    name: str
    figures: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = ", ".join(f"{name} {value:g}" for name, value in self.figures.items())
        return f"{self.name}: {told}; {len(self.wrong)} violations"


@contextmanager
def under_load(
    works: Works, nursery: Nursery, name: str, *, rate: float = 2.0, seed: int = 1
) -> Iterator[tuple[Seen, Load]]:
    """Let orders flow while the block breaks something; then wait for all ends and judge them."""
    seen = Seen(name)
    load = Load(works, f"{name}-{time.time_ns():x}", rate, seed)
    load.start()
    try:
        eventually(lambda: load.ended() >= FLOWS, 150, "orders flow before anything breaks")
        before = counted(works)
        yield seen, load
    finally:
        load.stop()
    over = time.monotonic()
    overlooked = Overlooked(works)

    def all_ended() -> bool:
        still_open = load.open()
        overlooked.free(still_open)
        return not still_open

    eventually(
        all_ended,
        ENDS_WITHIN,
        lambda: f"all ended but {len(load.open())}: {works.stuck(load.open()[:3])}",
    )
    seen.figures["seconds until the last saga ended"] = round(time.monotonic() - over, 1)
    seen.figures["orders"] = len(load.keys)
    seen.figures |= overlooked.figure
    for what, number in counted(works).items():
        seen.figures[what] = number - before[what]
    works.forget_connections()
    for key in load.keys:
        seen.wrong += [f"{key}: {v}" for v in violations(works, key)]
    seen.wrong += [*unbalanced(works)]
    seen.wrong += [f"incident: {i['errorMessage']}" for i in _incidents_of_nobody(works)]
    seen.wrong += [f"ended: {event}" for event in nursery.ended_by_themselves()]


def counted(works: Works) -> dict[str, int]:
    """Return what became of the orders' jobs so far, by name."""
    placed = {started.process_instance for started in [*works.placed.values()]}
    jobs = [job for job in [*works.records.jobs.values()] if job.instance in placed]
    seconds = [i for i in [*works.records.incidents] if i["processInstanceKey"] not in placed]
    return {
        "locks that ran out": sum(job.had("TIMED_OUT") for job in jobs),
        "jobs handed back": sum(job.had("FAILED") for job in jobs),
        "retries burnt": sum(job.burnt for job in jobs),
        "second instances halted": len(seconds),
    }


def _incidents_of_nobody(works: Works) -> list[dict[str, Any]]:
    """Return the incidents of instances that no order owns, but those of second instances.

    A start whose reply got lost may be made again; the instance that loses is halted at its first
    step, as the ledger's protocol has it, before it has changed anything.
    """
    placed = {started.process_instance for started in works.placed.values()}
    found = [i for i in works.records.incidents if i["processInstanceKey"] not in placed]
    return [i for i in found if DUPLICATE not in i["errorMessage"]]
