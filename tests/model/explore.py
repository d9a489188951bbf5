"""Breadth first through every world that can come about, so that a counterexample is short."""

from collections import deque
from dataclasses import dataclass, field
from time import process_time

from tests.model import engine as zeebe
from tests.model.moves import moves
from tests.model.oracles import ENDS, broken_at_the_end, broken_in
from tests.model.scenario import Scenario
from tests.model.world import Engine, World


@dataclass
class Explored:
    """What was found.

    Attributes:
        worlds: how many different states there are.
        moves: how many steps between them.
        ends: how many of them are ends.
        schedules: how many different ways lead from a beginning to an end.
        seconds: of CPU.
        broken: the oracle that a world breaks, or nothing.
        trace: how it came to that, in words; the shortest way.
    """

    scenario: Scenario
    worlds: int = 0
    moves: int = 0
    ends: int = 0
    schedules: int = 0
    seconds: float = 0.0
    broken: str = ""
    trace: list[str] = field(default_factory=list)


def explore(scenario: Scenario, at_most: int = 10_000_000) -> Explored:
    """Go through every world of a scenario, or to the first that breaks an oracle."""
    begun = process_time()
    explored, met = Explored(scenario), Met()
    for beginning, words in beginnings(scenario):
        met.add(beginning, -1, words)
    roots = len(met.came)
    while met.queue and not explored.broken and len(met.came) < at_most:
        world = met.queue.popleft()
        explored.broken = _look_at(world, met, explored)
        if explored.broken:
            explored.trace = _way_to(met.numbers[world], met.came)
    explored.worlds, explored.moves = len(met.came), sum(map(len, met.onward))
    if not explored.broken and not met.queue:
        explored.schedules, circling = _ways(met.onward, roots)
        if circling >= 0:
            explored.broken, explored.trace = ENDS, _way_to(circling, met.came)
    explored.seconds = process_time() - begun
    return explored


class Met:
    """The worlds met so far: how each came about, and where one goes from there."""

    def __init__(self) -> None:
        self.numbers: dict[World, int] = {}
        self.came: list[tuple[int, str]] = []
        self.onward: list[list[int]] = []
        self.queue: deque[World] = deque()

    def add(self, world: World, parent: int, words: str) -> int:
        """Number a world; the first way to it is the one that is told."""
        if world not in self.numbers:
            self.numbers[world] = len(self.came)
            self.came.append((parent, words))
            self.onward.append([])
            self.queue.append(world)
        return self.numbers[world]


def _look_at(world: World, met: Met, explored: Explored) -> str:
    """Return the oracle that this world breaks, or nothing, and meet those that may follow."""
    if broken := broken_in(world, explored.scenario):
        return broken
    number, goes_on = met.numbers[world], False
    for words, after in moves(world, explored.scenario):
        met.onward[number].append(met.add(after, number, words))
        goes_on = goes_on or after.used == world.used
    if goes_on:
        return ""
    explored.ends += 1
    return broken_at_the_end(world, explored.scenario)


def beginnings(scenario: Scenario) -> list[tuple[World, str]]:
    """The first saga is started; no shelf is empty, or one of them."""
    engine = zeebe.start(Engine(), scenario.diagram, scenario.sagas[0])
    refusing = [task.name for task in scenario.diagram.path if task.refuses]
    return [
        (World(engine, refusing=step), f"{scenario.sagas[0]} is started; {empty(step)}")
        for step in ("", *dict.fromkeys(refusing))
    ]


def empty(step: str) -> str:
    return f"the shelf of {step} is empty" if step else "every shelf is full"


def _way_to(number: int, came: list[tuple[int, str]]) -> list[str]:
    way = []
    while number >= 0:
        number, words = came[number]
        way.append(words)
    return way[::-1]


def _ways(onward: list[list[int]], roots: int) -> tuple[int, int]:
    """Count the ways from the beginnings to the ends; or name a world on a circle."""
    arrivals = [0] * len(onward)
    for places in onward:
        for place in places:
            arrivals[place] += 1
    ways = [1 if number < roots else 0 for number in range(len(onward))]
    ready = [number for number in range(len(onward)) if not arrivals[number]]
    total = seen = 0
    while ready:
        number = ready.pop()
        seen += 1
        if not onward[number]:
            total += ways[number]
        for place in onward[number]:
            ways[place] += ways[number]
            arrivals[place] -= 1
            if not arrivals[place]:
                ready.append(place)
    if seen == len(onward):
        return total, -1
    return total, next(number for number, left in enumerate(arrivals) if left)
