"""The protocol, explored: no world breaks an oracle, and each planted bug breaks its own."""

from typing import Final, NamedTuple

import pytest

from tests.model import oracles
from tests.model.explore import explore
from tests.model.reporting import COMMITTED, NO_FALSE_REFUSAL, ZOMBIE
from tests.model.scenario import Bug, Fault, Scenario
from tests.model.scenarios import LIMITS, SCENARIOS, SOLVED, scenario_named
from tests.model.told import told
from tests.model.worker import FALSE_HALT

F = Fault


class Planted(NamedTuple):
    """A bug, where it is planted, the faults that bring it to light, the oracle that sees it."""

    bug: Bug
    scenario: str
    faults: tuple[Fault, ...]
    oracle: str


def planted(bug: Bug, scenario: str, oracle: str, *faults: Fault) -> Planted:
    return Planted(bug, scenario, faults, oracle)


PLANTED: Final = (
    planted(Bug.ROW_AFTER_EFFECT, "order", NO_FALSE_REFUSAL, F.ZOMBIE),
    planted(Bug.REPORT_BEFORE_COMMIT, "order", COMMITTED),
    planted(Bug.KEYED_ON_JOB, "short", oracles.ONCE, F.MOVE),
    planted(Bug.NO_FENCE, "by hand", oracles.UNDONE, F.BY_HAND),
    planted(Bug.REFUSAL_NOT_RECORDED, "order", NO_FALSE_REFUSAL, F.ZOMBIE, F.FILL),
    planted(Bug.ROUND_WITHOUT_PROBE, "by hand", oracles.UNDONE, F.BY_HAND),
    planted(Bug.STALE_PROBE, "short", FALSE_HALT, F.MOVE, F.MOVE),
    planted(Bug.NOT_FOUND_IS_PROOF, "short", oracles.DONE, F.RESENT),
    planted(Bug.COUNTED_AFTER_SENDING, "without history", oracles.REPORTS, F.LOST_REPLY),
    planted(Bug.KEYS_FOR_ORDER, "restored", oracles.ENDS, F.MOVE, F.WIPE),
    planted(Bug.BUSINESS_KEY_ALONE, "short", oracles.DONE, F.TWICE, F.CANCEL),
    planted(Bug.INSTANCE_KEPT, "strangers", oracles.UNDONE, F.WIPE, F.CANCEL),
    planted(Bug.ACROSS_LIVES, "restored", oracles.DONE, F.CANCEL, F.RESTORE),
    planted(Bug.AMONG_ITS_JOBS, "short", oracles.DONE, F.MOVE),
    planted(Bug.WITHOUT_LOOKING_AGAIN, "short", oracles.DONE, F.MOVE),
    planted(Bug.COUNTED_IS_SETTLED, "short", oracles.UNDONE, F.CANCEL),
    planted(Bug.PIVOT_FORGOTTEN, "beyond", oracles.KEPT, F.CANCEL),
    planted(Bug.NOT_CLOSED, "restored", oracles.DONE, F.CANCEL, F.RESTORE),
    planted(Bug.FAIL_WITHOUT_LOCK, "short", ZOMBIE, F.HALT, F.ZOMBIE),
    planted(Bug.CALL_BEFORE_INTENT, "remote", oracles.UNDONE, F.CRASH, F.CANCEL),
    planted(Bug.UNKNOWN_CANCELLED, "remote", oracles.UNDONE, F.DELAYED, F.BY_HAND),
    planted(Bug.KEY_WITHOUT_ROUND, "remote", oracles.DONE, F.CRASH, F.MOVE_OUT, F.FILL),
    planted(Bug.REFUSAL_FORGOTTEN, "remote", NO_FALSE_REFUSAL, F.ZOMBIE, F.FILL),
    planted(Bug.BOUND_FORGOTTEN, "remote", oracles.NO_HANG, F.CRASH, F.MOVE_OUT),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_world_with_one_fault_breaks_an_oracle(scenario: Scenario) -> None:
    explored = explore(scenario._replace(budget=1))

    assert not explored.broken, told(explored)
    assert explored.ends


def test_each_bug_that_the_model_knows_is_planted() -> None:
    assert [one.bug for one in PLANTED] == list(dict.fromkeys(one.bug for one in PLANTED))
    assert {one.bug for one in PLANTED} == {*Bug}


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.bug.name.lower())
def test_a_planted_bug_is_caught_by_its_oracle(planted: Planted) -> None:
    scenario = scenario_named(planted.scenario)
    few = scenario._replace(faults=frozenset(planted.faults), budget=len(planted.faults))

    with_bug = explore(few._replace(bug=planted.bug))

    assert with_bug.broken == planted.oracle, told(with_bug)
    assert not explore(few).broken, "the oracle breaks without the bug too"


@pytest.mark.parametrize("scenario", SOLVED, ids=lambda scenario: scenario.name)
def test_what_was_a_limit_breaks_no_oracle_with_its_own_faults(scenario: Scenario) -> None:
    explored = explore(scenario)

    assert not explored.broken, told(explored)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_known_limit_is_still_one(limit: Scenario) -> None:
    """What docs/experiments says isn't solved: this fails once it is, and the page is to change."""
    assert explore(limit).broken in {oracles.DONE, oracles.UNDONE, COMMITTED}
