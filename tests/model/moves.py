"""What may happen next in a world: everything that anybody may do."""

from collections.abc import Iterator

from tests.model.operators import operator_moves
from tests.model.reconciler import reconciler_moves
from tests.model.scenario import Scenario
from tests.model.worker import worker_moves
from tests.model.world import World


def moves(world: World, scenario: Scenario) -> Iterator[tuple[str, World]]:
    """Give each next step in words, and the world after it; faults only while the budget lasts."""
    may_fail = len(world.used) < scenario.budget
    for makers in (worker_moves, reconciler_moves, operator_moves):
        for words, fault, after in makers(world, scenario):
            if fault is None:
                yield words, after
            elif may_fail and fault in scenario.faults:
                used = tuple(sorted((*world.used, fault.name)))
                yield f"FAULT: {words}: {fault.value}", after._replace(used=used)
