"""Workers killed for real, at each point of each step and compensation: the orders end as due."""

import random
import sys

import pytest

from sagaworks.ledger.points import Point
from sagaworks.testing.servers import PostgreSQL
from tests.faults.killing.run import EACH, Run
from tests.faults.killing.schedules import PATHS, SCHEDULES, Schedule
from tests.faults.real.works import Works

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]  # seconds; a few hundred deaths


def say(line: str) -> None:
    """Shown if the test fails: the seed, and each schedule in the order it was met."""
    sys.stdout.write(f"{line}\n")


def test_a_worker_may_be_killed_anywhere(postgresql: PostgreSQL) -> None:
    seed = random.randrange(1_000_000)  # noqa: S311  no secret
    say(f"python -m tests.faults.killing --seed {seed}")
    with Works(postgresql) as works, works.work(each=EACH) as nursery:
        outcome = Run(works, nursery, seed, say).run(SCHEDULES)

    say(str(outcome))
    assert outcome.wrong == []
    assert outcome.met.keys() == {schedule.name for schedule in SCHEDULES}
    assert outcome.killed == len(SCHEDULES) >= 160


def test_a_kill_that_does_not_happen_fails(postgresql: PostgreSQL) -> None:
    """No step of an order that nobody has to wait for calls a partner while it holds stock."""
    never = Schedule("sold-out", "hold_stock", Point.CALL, 1)
    with Works(postgresql) as works, works.work() as nursery:
        outcome = Run(works, nursery, 1, say, attempts=1).run([never])

    assert outcome.wrong == [f"{never.name}: nobody was killed in 1 orders"]
    assert outcome.killed == 0


def test_each_step_and_compensation_of_the_diagram_is_killed_at_each_point() -> None:
    steps = {step for path in PATHS.values() for step, _ in path.executions}

    assert {schedule.step for schedule in SCHEDULES} == steps
    assert len(steps) == 10
    assert {schedule.point for schedule in SCHEDULES} == {*Point} - {Point.ASK}
