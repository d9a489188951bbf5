"""The contract of compensation jobs: which effect each undoes, and that it does so once."""

import pytest
from pydantic import BaseModel, Field
from sqlmodel import Session

from sagaworks import Halt, Retry, Service
from sagaworks.ledger.answers import Outcome, Say
from sagaworks.ledger.decide import Presence
from sagaworks.ledger.rows import State
from tests.stores.shop import NotSorry, StockHeld, hold_stock, pack_line, release_stock, unpack_line
from tests.stores.steps import GONE, HELD, LAMP, at_once
from tests.stores.world import World


def packed(world: World, *lines: str) -> None:
    """Pack each line by a job of its own, numbered from 1."""
    for n, line in enumerate(lines, 1):
        world.deliver(pack_line, {"line": line}, job=n)


class UndoContract:
    def test_a_compensation_undoes_the_effect_and_says_nothing_else(self, world: World) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=1)

        answer = world.deliver(release_stock, job=2)

        assert (answer.outcome, answer.say) == (Outcome.COMPENSATED, Say.COMPLETE)
        assert answer.variables == b"{}"
        assert world.available == 3
        assert [(row.state, row.undone_by) for row in world.rows] == [(State.UNDONE, 2)]

    def test_the_same_compensation_job_again_undoes_nothing_more(self, world: World) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=1)
        world.deliver(release_stock, job=2)

        again = world.deliver(release_stock, job=2)

        assert (again.outcome, again.say) == (Outcome.REPLAYED, Say.COMPLETE)
        assert world.available == 3

    def test_four_simultaneous_deliveries_undo_once(self, world: World) -> None:
        world.stock(count=40)
        other = world.second_worker()
        for n in range(1, 11):
            saga = {"saga": f"order-{n}", "instance": n}
            world.deliver(hold_stock, LAMP, job=1, **saga)
            at_once(
                *(
                    lambda at=worker, saga=saga: at.deliver(release_stock, job=2, **saga)
                    for worker in (world, other, world, other)
                )
            )

        assert world.available == 40
        assert {row.state for row in world.rows} == {State.UNDONE}

    def test_the_same_compensation_job_never_goes_on_to_a_later_effect(self, world: World) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=1)
        world.deliver(release_stock, job=2)
        world.engine.jobs[3] = HELD
        world.deliver(hold_stock, LAMP, job=3)

        again = world.deliver(release_stock, job=2)

        assert (again.outcome, again.say) == (Outcome.REPEATED, Say.HALT)
        assert world.states == [(1, State.UNDONE), (2, State.OPEN)]
        assert world.available == 2

    def test_each_compensation_job_of_a_later_round_undoes_that_round(self, world: World) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=1)
        world.deliver(release_stock, job=2)
        world.engine.jobs[3] = HELD
        world.deliver(hold_stock, LAMP, job=3)

        answer = world.deliver(release_stock, job=4)

        assert answer.outcome is Outcome.COMPENSATED
        assert [row.undone_by for row in world.rows] == [2, 4]
        assert world.available == 3

    # Nothing to undo.

    def test_nothing_to_undo_leaves_a_fence(self, world: World) -> None:
        world.hear_of()

        answer = world.deliver(release_stock, job=2)

        assert (answer.outcome, answer.say) == (Outcome.NULL_COMPENSATION, Say.COMPLETE)
        assert world.states == [(1, State.FENCE)]

    def test_the_job_that_left_a_fence_is_replayed(self, world: World) -> None:
        world.hear_of()
        world.deliver(release_stock, job=2)

        again = world.deliver(release_stock, job=2)

        assert (again.outcome, again.say) == (Outcome.REPLAYED, Say.COMPLETE)
        assert world.states == [(1, State.FENCE)]

    def test_a_refused_step_has_nothing_to_undo(self, world: World) -> None:
        world.stock(count=0)
        world.deliver(hold_stock, LAMP, job=1)

        answer = world.deliver(release_stock, job=2)

        assert answer.outcome is Outcome.NULL_COMPENSATION
        assert world.states == [(1, State.REFUSED), (2, State.FENCE)]
        assert world.available == 0

    def test_a_step_that_comes_after_the_fence_and_is_gone_is_late(self, world: World) -> None:
        world.stock()
        world.hear_of()
        world.deliver(release_stock, job=2)
        world.engine.jobs[1] = GONE

        answer = world.deliver(hold_stock, LAMP, job=1)

        assert (answer.outcome, answer.say) == (Outcome.LATE, Say.NOTHING)
        assert world.available == 1

    def test_a_step_that_comes_after_the_fence_and_is_held_is_the_next_round(
        self, world: World
    ) -> None:
        world.stock()
        world.hear_of()
        world.deliver(release_stock, job=2)
        world.engine.jobs[1] = HELD

        answer = world.deliver(hold_stock, LAMP, job=1)

        assert answer.outcome is Outcome.EXECUTED
        assert world.states == [(1, State.FENCE), (2, State.OPEN)]

    # Steps that run once for each value.

    def test_a_compensation_that_carries_each_undoes_that_run(self, world: World) -> None:
        packed(world, "a", "b", "c")

        answer = world.deliver(unpack_line, {"line": "b"}, job=9)

        assert answer.outcome is Outcome.COMPENSATED
        assert {row.each: row.state for row in world.rows} == {
            "a": State.OPEN,
            "b": State.UNDONE,
            "c": State.OPEN,
        }

    def test_the_handlers_of_a_plain_loop_undo_all_runs_though_all_see_the_last_value(
        self, world: World
    ) -> None:
        packed(world, "a", "b", "c")

        for job in (7, 8, 9):
            world.deliver(unpack_line, {"line": "c"}, job=job)

        assert [row.undone_by for row in world.rows] == [9, 8, 7]
        assert world.parcels == 0

    def test_the_handlers_of_a_plain_loop_may_come_at_the_same_moment(self, world: World) -> None:
        packed(world, "a", "b", "c")
        other = world.second_worker()
        workers = (world, other, world)

        at_once(
            *(
                lambda at=worker, job=job: at.deliver(unpack_line, {"line": "c"}, job=job)
                for worker, job in zip(workers, (7, 8, 9), strict=True)
            )
        )

        assert sorted(row.undone_by or 0 for row in world.rows) == [7, 8, 9]
        assert world.parcels == 0

    def test_one_handler_too_many_of_a_plain_loop_finds_nothing(self, world: World) -> None:
        packed(world, "a")
        world.deliver(unpack_line, {"line": "a"}, job=8)

        answer = world.deliver(unpack_line, {"line": "a"}, job=9)

        assert answer.outcome is Outcome.NULL_COMPENSATION

    def test_a_value_that_was_never_there_undoes_no_other(self, world: World) -> None:
        packed(world, "a", "b")

        answer = world.deliver(unpack_line, {"line": "z"}, job=9)

        assert answer.outcome is Outcome.NULL_COMPENSATION
        assert world.parcels == 2

    def test_the_header_undo_all_undoes_every_run(self, world: World) -> None:
        packed(world, "a", "b", "c")

        answer = world.deliver(unpack_line, job=9, headers={"undo": "all"})

        assert answer.outcome is Outcome.COMPENSATED
        assert [row.undone_by for row in world.rows] == [9, 9, 9]
        assert world.deliver(unpack_line, job=9, headers={"undo": "all"}).outcome is (
            Outcome.REPLAYED
        )

    def test_without_each_and_without_the_header_a_person_must_look(self, world: World) -> None:
        packed(world, "a", "b")

        answer = world.deliver(unpack_line, job=9)

        assert (answer.outcome, answer.say) == (Outcome.REPEATED, Say.HALT)
        assert "2 runs are open" in answer.message
        assert world.parcels == 2

    def test_undoing_all_runs_is_all_or_nothing(self, world: World) -> None:
        packed(world, "a", "b")
        service = Service("shop")
        step = service.step(each="line")(pack_line.function)
        undone: list[str] = []

        @step.compensation
        def fail_at_the_second(session: Session) -> None:
            undone.append("one")
            if len(undone) == 2:
                raise Retry("not now")

        with pytest.raises(Retry):
            world.deliver(fail_at_the_second, job=9, headers={"undo": "all"})

        assert [row.state for row in world.rows] == [State.OPEN, State.OPEN]

    # What a compensation may not do.

    def test_a_compensation_may_not_refuse(self, world: World) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=1)
        step = Service("shop").step(hold_stock.function)

        @step.compensation
        def keep_it(session: Session, held: StockHeld) -> None:
            release_stock.function(session, held)
            session.flush()
            raise NotSorry("no")

        with pytest.raises(Halt, match=r"shop\.keep_it may not refuse: NOT_SORRY no"):
            world.deliver(keep_it, job=2)

        assert world.states == [(1, State.OPEN)]
        assert world.available == 2

    def test_a_fact_that_can_not_be_read_any_more_halts(self, world: World) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=1)
        world.change_rows(answer=b'{"sku":"lamp","quantity":"secret"}')

        with pytest.raises(Halt, match=r"the fact of shop\.hold_stock: quantity") as halted:
            world.deliver(release_stock, job=2)

        assert "secret" not in halted.value.why
        assert world.states == [(1, State.OPEN)]

    def test_a_row_from_before_the_step_had_a_fact_halts_its_undo(self, world: World) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=1)
        world.change_rows(answer=None)

        with pytest.raises(Halt, match=r"the fact of shop\.hold_stock"):
            world.deliver(release_stock, job=2)

        assert world.states == [(1, State.OPEN)]

    def test_a_fact_with_an_alias_can_be_undone(self, world: World) -> None:
        service = Service("shop")
        seen = []

        class Moved(BaseModel):
            zip_code: str = Field(alias="zipCode")

        @service.step
        def move(session: Session) -> Moved:
            return Moved(zipCode="1010")

        @move.compensation
        def move_back(session: Session, moved: Moved) -> None:
            seen.append(moved.zip_code)

        world.deliver(move, job=1)
        world.deliver(move_back, job=2)

        assert seen == ["1010"]

    def test_an_undo_of_a_step_that_was_remote_waits_for_its_answer(self, world: World) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=1)
        world.change_rows(state=State.INTENT, answer=None, request=b"{}")

        with pytest.raises(Halt, match="was a remote_step"):
            world.deliver(release_stock, job=2)
        with pytest.raises(Halt, match="was a remote_step"):
            world.deliver(hold_stock, LAMP, job=1)

        assert world.available == 2

    def test_a_token_that_came_back_is_not_asked_about_by_a_compensation(
        self, world: World
    ) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=1)
        world.engine.jobs[1] = Presence.GONE

        world.deliver(release_stock, job=2)

        assert world.engine.asked == []
