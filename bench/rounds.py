"""The rounds of a run: every subject once in each, in another order each time."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.live import Live
from bench.measuring import Measuring, Pace
from bench.results import Results
from bench.rows import Row
from bench.stage import Stage
from bench.subjects.listed import BY_NAME, Subject
from sagaworks import SagaworksError

START_AND_END: Final = 5.0
"""Seconds that a subject takes beside its loads: processes, first saga, books, a quiet engine."""

DRAINED_IN: Final = 1.5
"""Seconds from a load's end until the sagas under way have ended."""

TRIES: Final = 2

SET_UP: Final = 20.0
"""Seconds until engine and databases are there."""


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        warm_up: seconds of load before the first round: Java compiles what is used much.
        subjects: that this version can run.
    """

    rounds: int
    pace: Pace
    warm_up: float
    subjects: Sequence[Subject]

    def seconds(self) -> float:
        """About how long it takes."""
        of_a_round = sum(self.seconds_of(subject) for subject in self.subjects)
        return SET_UP + self.warm_up + START_AND_END + self.rounds * of_a_round

    def seconds_of(self, subject: Subject) -> float:
        """About how long one subject takes in one round."""
        loads = len(subject.loads) * (self.pace.seconds + self.pace.ramp + DRAINED_IN)
        return START_AND_END + loads + subject.longer

    def order(self, number: int) -> list[Subject]:
        """Return the subjects in the order of one round: none profits from who came before it."""
        order = [*self.subjects]
        random.Random(number).shuffle(order)  # noqa: S311  the same order each time is the point
        return order


class Rounds:
    """Runs the plan's rounds that the results haven't got yet.

    Args:
        file: written after each round.
    """

    def __init__(self, plan: Plan, stage: Stage, results: Results, file: Path, live: Live) -> None:
        """Run nothing yet."""
        self.plan = plan
        self.stage = stage
        self.results = results
        self.file = file
        self.live = live
        self.runs = 0

    def run(self) -> None:
        """Run them; an interrupted round leaves no rows."""
        self.warm_up()
        done = self.results.rounds
        for number in range(1, self.plan.rounds + 1):
            if number not in done:
                order = self.plan.order(number)
                self.results.rows += [row for one in order for row in self._one(one, number)]
                self.results.save(self.file)

    def warm_up(self) -> None:
        """Load the engine until its Java has compiled what it needs."""
        if self.plan.warm_up:
            self.live.doing("warming the engine up", self.plan.warm_up + START_AND_END)
            pace = replace(self.plan.pace, seconds=self.plan.warm_up)
            self._measured(BY_NAME["no-op"], pace, 0)

    def _one(self, subject: Subject, number: int) -> list[Row]:
        what = f"round {number} of {self.plan.rounds}: {subject.name}"
        self.live.doing(what, self.plan.seconds_of(subject))
        rows = self._measured(subject, self.plan.pace, number)
        for row in rows:
            self.live.measured(row)
        return rows

    def _measured(self, subject: Subject, pace: Pace, number: int) -> list[Row]:
        """Measure it; what fails is noted and tried once more, then left out of the round."""
        for _ in range(TRIES):
            self.runs += 1
            # A name of its own for each run: nothing left behind reaches the next.
            measuring = Measuring(self.stage, subject, pace, f"r{self.runs}")
            try:
                return measuring.run(number)
            except SagaworksError as error:
                self.stage.check()
                self.results.failures.append(f"round {number}, {subject.name}: {error}")
                self.live.say(self.results.failures[-1])
        return []
