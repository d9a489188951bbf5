"""What only the real engine can show: undos that come at once, and a cancel that comes first."""

import pytest

from sagaworks.testing import Zeebe
from tests.faults.diagrams import ONE_STEP, undone_at_once

pytestmark = pytest.mark.engine

STEPS = ["a", "b", "c"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_undos_that_come_at_once_are_done_in_the_order_of_the_seed(zeebe: Zeebe, seed: int) -> None:
    done: list[str] = []
    zeebe.put_on_wire(seed).any_order()
    for step in STEPS:
        zeebe.stub(f"shop.{step}")
        zeebe.stub(f"shop.undo_{step}", lambda _, step=step: done.append(step))
    zeebe.deploy(undone_at_once(*STEPS))

    first = zeebe.run("regret")
    first.assert_undone()
    again = zeebe.run("regret")
    again.assert_undone()

    assert sorted(done[:3]) == STEPS
    assert done[:3] == done[3:]


def test_a_job_may_come_after_its_saga_was_cancelled(zeebe: Zeebe) -> None:
    late = zeebe.faults.deliver_after_cancel("shop.hold_stock")
    stub = zeebe.stub("shop.hold_stock")
    zeebe.deploy(ONE_STEP)

    saga = zeebe.run("hold")
    assert zeebe.faults.wire.wait_for(lambda: late.holds(saga.key), 10)
    zeebe.cancel(saga)

    assert saga.outcome == "cancelled"
    assert zeebe.faults.wire.wait_for(lambda: stub.calls, 10)
