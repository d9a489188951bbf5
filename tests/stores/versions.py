"""The contract of workers of different versions on one database, and of rows nobody can read."""

import re

import pytest
from pydantic import BaseModel
from sqlmodel import Session

from sagaworks import Halt, Service
from sagaworks.ledger.answers import Outcome, Say
from sagaworks.ledger.rows import State
from sagaworks.step import Compensation, Step
from tests.stores.shop import Shelf, hold_stock, release_stock
from tests.stores.steps import LAMP, at_once
from tests.stores.world import World


class HeldOnShelf(BaseModel):
    """The next version's fact: it says where, and rows from before are read all the same."""

    sku: str
    quantity: int
    shelf: str = "A"


class HeldInRow(BaseModel):
    """A version's fact that no row from before can be read as."""

    sku: str
    quantity: int
    row: int


def next_version(fact: type[BaseModel]) -> tuple[Step[..., BaseModel], Compensation[BaseModel]]:
    """Return the step and its compensation as the next version has them."""

    def hold(session: Session, sku: str, quantity: int) -> BaseModel:
        session.get_one(Shelf, sku, with_for_update=True).available -= quantity
        more = {"row": 7} if fact is HeldInRow else {"shelf": "B"}
        return fact(sku=sku, quantity=quantity, **more)

    def release(session: Session, held: BaseModel) -> None:
        session.get_one(Shelf, held.sku, with_for_update=True).available += held.quantity

    hold.__name__, release.__name__ = "hold_stock", "release_stock"
    hold.__annotations__ |= {"return": fact}
    release.__annotations__ |= {"held": fact}
    step = Service("shop").step(hold)
    return step, step.compensation(release)


class VersionContract:
    def test_two_versions_at_once_carry_a_job_out_once(self, world: World) -> None:
        """In the midst of a rollout: the one that comes second sends the other's answer."""
        world.stock(count=10)
        other = world.second_worker()
        newer, _ = next_version(HeldOnShelf)
        for n in range(1, 11):
            saga = {"saga": f"order-{n}", "instance": n}
            at_once(
                lambda saga=saga: world.deliver(hold_stock, {"sku": "lamp", "quantity": 1}, **saga),
                lambda saga=saga: other.deliver(newer, {"sku": "lamp", "quantity": 1}, **saga),
            )

        assert world.available == 0
        assert world.states == [(1, State.OPEN)] * 10

    def test_each_version_undoes_what_the_other_did(self, world: World) -> None:
        world.stock(count=4)
        newer, newer_undo = next_version(HeldOnShelf)
        world.deliver(hold_stock, LAMP, job=1)
        world.deliver(newer, LAMP, job=3, saga="order-43", instance=2)

        old = world.deliver(newer_undo, job=2)
        new = world.deliver(release_stock, job=4, saga="order-43", instance=2)

        assert [old.outcome, new.outcome] == [Outcome.COMPENSATED] * 2
        assert world.available == 4

    def test_a_fact_from_before_stops_its_undo_with_words_and_waits(self, world: World) -> None:
        """Nothing is lost: the version that can read it undoes it when the job comes again."""
        world.stock(count=2)
        newer, newer_undo = next_version(HeldInRow)
        world.deliver(hold_stock, LAMP, job=1)

        with pytest.raises(Halt, match=r"the fact of shop\.hold_stock: row: Field required") as why:
            world.deliver(newer_undo, job=2)
        again = world.deliver(newer, LAMP, job=1)
        undone = world.deliver(release_stock, job=2)

        assert "\n" not in why.value.why
        assert (again.outcome, again.say) == (Outcome.REPLAYED, Say.COMPLETE)
        assert undone.outcome is Outcome.COMPENSATED
        assert world.available == 2

    @pytest.mark.parametrize(
        "damage",
        [{"state": "later"}, {"jobs": "[1, "}, {"jobs": "7"}],
        ids=["a state of a later version", "jobs cut short", "jobs that are none"],
    )
    @pytest.mark.parametrize("task", [hold_stock, release_stock], ids=["its step", "its undo"])
    def test_a_damaged_row_stops_its_jobs_with_words(
        self, world: World, damage: dict[str, str], task: Step | Compensation
    ) -> None:
        world.stock(count=4)
        world.deliver(hold_stock, LAMP, job=1)
        world.change_rows(**damage)

        with pytest.raises(Halt) as why:
            world.deliver(task, LAMP, job=1 if task is hold_stock else 2)
        other = world.deliver(hold_stock, LAMP, job=3, saga="order-43", instance=2)

        said = r"row \d+ of the ledger \(hold_stock of 'order-42'\) can't be read"
        assert re.match(said, why.value.why)
        assert "retry the incident" in why.value.why
        assert "\n" not in why.value.why
        assert other.outcome is Outcome.EXECUTED, "other sagas don't wait for it"
        assert world.available == 2
        assert world.column("state")[0] == damage.get("state", State.OPEN), "it's left as it was"

    def test_a_damaged_row_is_shown_as_that(self, world: World) -> None:
        world.stock(count=2)
        world.deliver(hold_stock, LAMP, job=1)
        world.change_rows(jobs="[1, ")

        [entry] = world.trail()

        assert (entry["step"], entry["event"], entry["job"]) == ("hold_stock", "executed", None)
