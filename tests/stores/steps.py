"""The contract of a step's jobs: what the ledger's table says, row by row, without history."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest
from sqlmodel import Session

from sagaworks import Halt, Retry, Service
from sagaworks.ledger.answers import Answer, Outcome, Say
from sagaworks.ledger.decide import Presence
from sagaworks.ledger.rows import State
from tests.stores.shop import OutOfStock, StockHeld, count_stock, hold_stock, pack_line
from tests.stores.shop import release_stock as release
from tests.stores.world import World

LAMP = {"sku": "lamp", "quantity": 1}
HELD_LAMP = b'{"stock_held":{"quantity":1,"sku":"lamp"}}'

T = TypeVar("T")

HELD, UNHELD, GONE = Presence.HELD, Presence.UNHELD, Presence.GONE


def at_once(*deliveries: Callable[[], T]) -> list[T]:
    """Run deliveries at the same moment, each on a thread of its own."""
    barrier = Barrier(len(deliveries))

    def run(deliver: Callable[[], T]) -> T:
        barrier.wait()
        return deliver()

    with ThreadPoolExecutor(len(deliveries)) as threads:
        return list(threads.map(run, deliveries))


class StepContract:
    # A job never seen.

    def test_a_new_job_is_executed_and_answered_with_its_fact(self, world: World) -> None:
        world.stock()

        answer = world.deliver(hold_stock, LAMP)

        assert (answer.outcome, answer.say) == (Outcome.EXECUTED, Say.COMPLETE)
        assert answer.variables == HELD_LAMP
        assert world.available == 0
        assert world.states == [(1, State.OPEN)]
        assert world.engine.asked == []

    def test_different_sagas_have_nothing_to_do_with_each_other(self, world: World) -> None:
        world.stock(count=2)

        first = world.deliver(hold_stock, LAMP, job=1, saga="order-42", instance=1)
        second = world.deliver(hold_stock, LAMP, job=2, saga="Order-42", instance=2)

        assert [first.outcome, second.outcome] == [Outcome.EXECUTED, Outcome.EXECUTED]
        assert world.available == 0

    def test_a_step_without_a_fact_completes_with_nothing(self, world: World) -> None:
        service = Service("shop")

        @service.step
        def note(session: Session) -> None: ...

        answer = world.deliver(note)

        assert (answer.say, answer.variables) == (Say.COMPLETE, b"{}")
        assert world.deliver(note).outcome is Outcome.REPLAYED

    def test_a_read_only_step_always_runs_and_leaves_no_row(self, world: World) -> None:
        world.stock(count=3)
        first = world.deliver(count_stock, {"sku": "lamp"})
        world.restock(5)

        second = world.deliver(count_stock, {"sku": "lamp"})

        assert first.outcome is second.outcome is Outcome.READ
        assert (b'"quantity":3' in first.variables, b'"quantity":5' in second.variables) == (
            True,
            True,
        )
        assert world.rows == []

    def test_a_read_only_step_may_refuse(self, world: World) -> None:
        service = Service("shop")

        @service.step(kind="read_only")
        def look(session: Session) -> None:
            raise OutOfStock("nothing there")

        answer = world.deliver(look)

        assert (answer.say, answer.code, answer.row) == (Say.THROW, "OUT_OF_STOCK", None)
        assert world.rows == []

    def test_a_read_only_step_that_writes_is_halted(self, world: World) -> None:
        service = Service("shop")
        world.stock(count=3)

        @service.step(kind="read_only")
        def look(session: Session) -> None:
            release.function(session, StockHeld(sku="lamp", quantity=1))

        with pytest.raises(Halt, match=r"shop\.look is read_only and may not write"):
            world.deliver(look)

        assert world.available == 3
        assert world.deliver(hold_stock, LAMP).outcome is Outcome.EXECUTED

    # The same job again.

    def test_the_same_job_again_is_given_the_stored_answer(self, world: World) -> None:
        world.stock(count=9)
        first = world.deliver(hold_stock, LAMP)

        again = world.deliver(hold_stock, {"sku": "lamp", "quantity": 5})

        assert (again.outcome, again.say) == (Outcome.REPLAYED, Say.COMPLETE)
        assert again.variables == first.variables
        assert world.available == 8
        assert world.engine.asked == []

    def test_a_replay_parses_nothing(self, world: World) -> None:
        world.stock()
        world.deliver(hold_stock, LAMP)
        world.change_rows(answer=b"what an older version wrote")

        again = world.deliver(hold_stock, {"sku": 1})

        assert again.variables == b'{"stock_held":what an older version wrote}'

    def test_four_simultaneous_deliveries_are_one_execution_and_never_a_refusal(
        self, world: World
    ) -> None:
        other = world.second_worker()
        outcomes: list[Outcome] = []
        told: list[set[bytes]] = []
        for n in range(40):
            world.stock(f"lamp-{n}")
            variables = {"sku": f"lamp-{n}", "quantity": 1}

            def deliver(
                worker: World, n: int = n, variables: dict[str, object] = variables
            ) -> Answer:
                return worker.deliver(
                    hold_stock, variables, job=n + 1, saga=f"order-{n}", instance=n + 1
                )

            workers = (world, other, world, other)
            answers = at_once(*(lambda at=worker: deliver(at) for worker in workers))
            outcomes += [answer.outcome for answer in answers]
            told.append({answer.variables for answer in answers})

        assert outcomes.count(Outcome.EXECUTED) == 40
        assert outcomes.count(Outcome.REPLAYED) == 120
        assert {len(alike) for alike in told} == {1}

    def test_four_simultaneous_deliveries_take_one_of_many(self, world: World) -> None:
        world.stock(count=100)
        other = world.second_worker()

        for n in range(1, 11):
            at_once(
                *(
                    lambda at=worker, n=n: at.deliver(
                        hold_stock, LAMP, job=n, saga=f"order-{n}", instance=n
                    )
                    for worker in (world, other, world, other)
                )
            )

        assert world.available == 90
        assert len(world.rows) == 10

    def test_four_simultaneous_refusals_are_one_row_and_alike(self, world: World) -> None:
        world.stock(count=0)
        other = world.second_worker()

        answers = at_once(
            *(lambda at=worker: at.deliver(hold_stock, LAMP) for worker in (world, other) * 2)
        )

        assert {(answer.say, answer.code, answer.message) for answer in answers} == {
            (Say.THROW, "OUT_OF_STOCK", "lamp: 0 available, 1 asked for")
        }
        assert world.states == [(1, State.REFUSED)]

    # Refusals.

    def test_a_refusal_leaves_its_row_and_no_effect(self, world: World) -> None:
        service = Service("shop")
        world.stock(count=5)

        @service.step(was="hold_before")
        def hold_too_much(session: Session) -> StockHeld:
            held = hold_stock.function(session, "lamp", 3)
            session.flush()
            raise OutOfStock(f"{held.quantity} held, and one missing")

        answer = world.deliver(hold_too_much)

        assert (answer.outcome, answer.say) == (Outcome.REFUSED, Say.THROW)
        assert (answer.code, answer.message) == ("OUT_OF_STOCK", "3 held, and one missing")
        assert world.available == 5
        assert world.states == [(1, State.REFUSED)]

    def test_a_refusal_is_replayed_until_the_engine_has_taken_the_throw(self, world: World) -> None:
        world.stock(count=0)
        first = world.deliver(hold_stock, LAMP)
        world.restock(5)

        again = world.deliver(hold_stock, LAMP)

        assert again.outcome is Outcome.REPLAYED
        assert (again.say, again.code, again.message) == (first.say, first.code, first.message)
        assert world.available == 5
        assert world.engine.asked == []

    def test_a_job_back_from_an_uncaught_throw_is_decided_afresh(self, world: World) -> None:
        world.stock(count=0)
        refused = world.deliver(hold_stock, LAMP)
        world.ledger.mark_counted([refused.row or 0])
        world.restock(5)
        world.engine.jobs[1] = HELD

        answer = world.deliver(hold_stock, LAMP)

        assert (answer.outcome, answer.say) == (Outcome.EXECUTED, Say.COMPLETE)
        assert world.states == [(1, State.REFUSED), (2, State.OPEN)]
        assert world.deliver(hold_stock, LAMP).outcome is Outcome.REPLAYED

    @pytest.mark.parametrize("presence", [GONE, UNHELD])
    def test_a_thrown_job_that_nobody_holds_is_late(self, world: World, presence: Presence) -> None:
        world.stock(count=0)
        refused = world.deliver(hold_stock, LAMP)
        world.ledger.mark_counted([refused.row or 0])
        world.restock(5)
        world.engine.jobs[1] = presence

        answer = world.deliver(hold_stock, LAMP)

        assert (answer.outcome, answer.say) == (Outcome.LATE, Say.NOTHING)
        assert world.available == 5
        assert world.states == [(1, State.REFUSED)]

    def test_a_retriable_step_may_not_refuse(self, world: World) -> None:
        service = Service("shop")

        @service.step(kind="retriable")
        def ship_stock(session: Session) -> None:
            raise OutOfStock("none left")

        with pytest.raises(Halt, match="retriable and may not refuse: OUT_OF_STOCK none left"):
            world.deliver(ship_stock)

        assert world.rows == []

    def test_a_refusal_whose_class_has_its_own_arguments_is_told(self, world: World) -> None:
        service = Service("shop")

        class TooHeavy(OutOfStock):
            def __init__(self, kilograms: int) -> None:
                self.kilograms = kilograms

        @service.step
        def lift(session: Session) -> None:
            raise TooHeavy(80)

        answer = world.deliver(lift)

        assert (answer.code, answer.message) == ("TOO_HEAVY", "80")

    # Rounds.

    def test_a_new_job_after_a_refusal_is_the_next_round(self, world: World) -> None:
        world.stock(count=0)
        world.deliver(hold_stock, LAMP, job=1)
        world.restock(1)
        world.engine.jobs[2] = HELD

        answer = world.deliver(hold_stock, LAMP, job=2)

        assert answer.outcome is Outcome.EXECUTED
        assert world.states == [(1, State.REFUSED), (2, State.OPEN)]
        assert world.engine.asked == [2]

    def test_a_new_job_after_an_undo_is_the_next_round(self, world: World) -> None:
        world.stock()
        world.deliver(hold_stock, LAMP, job=1)
        world.deliver(release, job=2)
        world.engine.jobs[3] = HELD

        answer = world.deliver(hold_stock, LAMP, job=3)

        assert answer.outcome is Outcome.EXECUTED
        assert world.available == 0
        assert world.states == [(1, State.UNDONE), (2, State.OPEN)]

    @pytest.mark.parametrize("presence", [GONE, UNHELD])
    def test_a_new_job_after_an_undo_that_nobody_holds_is_late(
        self, world: World, presence: Presence
    ) -> None:
        world.stock()
        world.deliver(hold_stock, LAMP, job=1)
        world.deliver(release, job=2)
        world.engine.jobs[3] = presence

        answer = world.deliver(hold_stock, LAMP, job=3)

        assert (answer.outcome, answer.say) == (Outcome.LATE, Say.NOTHING)
        assert world.available == 1

    def test_the_same_job_after_its_undo_is_late_once_it_is_gone(self, world: World) -> None:
        world.stock()
        world.deliver(hold_stock, LAMP, job=1)
        world.deliver(release, job=2)
        world.engine.jobs[1] = GONE

        answer = world.deliver(hold_stock, LAMP, job=1)

        assert (answer.outcome, answer.say) == (Outcome.LATE, Say.NOTHING)
        assert world.available == 1

    def test_the_same_job_after_its_undo_runs_again_in_a_restored_engine(
        self, world: World
    ) -> None:
        world.stock()
        world.deliver(hold_stock, LAMP, job=1)
        world.deliver(release, job=2)
        world.engine.jobs[1] = HELD

        answer = world.deliver(hold_stock, LAMP, job=1)

        assert answer.outcome is Outcome.EXECUTED
        assert world.states == [(1, State.UNDONE), (2, State.OPEN)]

    # Another job for an open row.

    def test_another_job_is_late_if_it_is_gone_itself(self, world: World) -> None:
        world.stock(count=2)
        world.deliver(hold_stock, LAMP, job=1)
        world.engine.jobs |= {1: HELD, 2: GONE}

        answer = world.deliver(hold_stock, LAMP, job=2)

        assert (answer.outcome, answer.say) == (Outcome.LATE, Say.NOTHING)
        assert world.available == 1

    def test_the_engine_is_asked_again_if_the_rows_changed_meanwhile(self, world: World) -> None:
        """Job 3 takes the row over, and job 2 goes, after the engine has said that 2 is held."""
        world.stock(count=2)
        world.deliver(hold_stock, LAMP, job=1)
        world.engine.jobs |= {1: GONE, 2: HELD, 3: HELD}
        other = world.second_worker()

        def token_moves(job: int) -> None:
            if job == 1 and 3 not in world.engine.asked:
                other.deliver(hold_stock, LAMP, job=3)
                world.engine.jobs[2] = GONE

        world.engine.meanwhile = token_moves

        answer = world.deliver(hold_stock, LAMP, job=2)

        assert (answer.outcome, answer.say) == (Outcome.LATE, Say.NOTHING)
        assert [row.jobs for row in world.rows] == [(1, 3)]

    def test_a_job_waits_for_an_effect_that_is_being_undone(self, world: World) -> None:
        world.stock(count=2)
        world.deliver(hold_stock, LAMP, job=1)
        world.change_rows(undone_by=-1)
        world.engine.jobs |= {1: GONE, 2: HELD}

        with pytest.raises(Retry, match="being undone"):
            world.deliver(hold_stock, LAMP, job=2)

        assert [row.jobs for row in world.rows] == [(1,)]

    def test_another_job_adopts_the_row_of_a_job_that_is_gone(self, world: World) -> None:
        world.stock(count=2)
        first = world.deliver(hold_stock, LAMP, job=1)
        world.engine.jobs |= {1: GONE, 2: HELD}

        answer = world.deliver(hold_stock, LAMP, job=2)

        assert (answer.outcome, answer.variables) == (Outcome.ADOPTED, first.variables)
        assert world.available == 1
        assert [row.jobs for row in world.rows] == [(1, 2)]
        assert world.deliver(hold_stock, LAMP, job=2).outcome is Outcome.REPLAYED
        assert world.deliver(hold_stock, LAMP, job=1).outcome is Outcome.REPLAYED

    @pytest.mark.parametrize("first", [HELD, UNHELD])
    def test_two_jobs_alive_for_one_row_halt(self, world: World, first: Presence) -> None:
        world.stock(count=2)
        world.deliver(hold_stock, LAMP, job=1)
        world.engine.jobs |= {1: first, 2: HELD}

        answer = world.deliver(hold_stock, LAMP, job=2)

        assert (answer.outcome, answer.say) == (Outcome.REPEATED, Say.HALT)
        assert answer.message == "job 2 repeats hold_stock of job 1, both alive"
        assert world.available == 1

    def test_another_job_with_other_inputs_halts(self, world: World) -> None:
        world.stock(count=5)
        world.deliver(hold_stock, LAMP, job=1)
        world.engine.jobs |= {1: GONE, 2: HELD}

        answer = world.deliver(hold_stock, {"sku": "lamp", "quantity": 2}, job=2)

        assert (answer.outcome, answer.say) == (Outcome.REPEATED, Say.HALT)
        assert answer.message == "job 2 repeats hold_stock of job 1 with other inputs"
        assert world.available == 4

    def test_another_turn_of_a_multi_instance_halts_where_each_is_too_coarse(
        self, world: World
    ) -> None:
        world.deliver(pack_line, {"line": "lamp", "loopCounter": 1}, job=1)
        world.engine.jobs |= {1: GONE, 2: HELD}

        answer = world.deliver(pack_line, {"line": "lamp", "loopCounter": 2}, job=2)

        assert (answer.outcome, answer.say) == (Outcome.REPEATED, Say.HALT)
        assert "job 2" in answer.message
        assert "job 1" in answer.message
        assert world.parcels == 1

    def test_the_runs_of_a_multi_instance_are_told_apart_by_each(self, world: World) -> None:
        for n, line in enumerate(("a", "b", "c"), 1):
            world.deliver(pack_line, {"line": line, "loopCounter": n}, job=n)

        assert world.parcels == 3
        assert [(row.each, row.round) for row in world.rows] == [("a", 1), ("b", 1), ("c", 1)]

    def test_what_changed_while_the_engine_was_asked_is_decided_again(self, world: World) -> None:
        world.stock(count=2)
        world.deliver(hold_stock, LAMP, job=1)
        world.engine.jobs |= {1: GONE, 2: HELD, 3: HELD}

        def another_adopts(job: int) -> None:
            if job == 1 and world.engine.asked.count(1) == 1:
                world.deliver(hold_stock, LAMP, job=3)

        world.engine.meanwhile = another_adopts

        answer = world.deliver(hold_stock, LAMP, job=2)

        assert answer.message == "job 2 repeats hold_stock of job 3, both alive"
        assert [row.jobs for row in world.rows] == [(1, 3)]

    # A second process instance with the same key.

    def test_a_second_instance_with_the_same_key_halts_without_an_error(self, world: World) -> None:
        world.stock(count=2)
        world.deliver(hold_stock, LAMP, job=1, instance=7)

        answer = world.deliver(hold_stock, LAMP, job=2, instance=8)

        assert (answer.outcome, answer.say) == (Outcome.DUPLICATE, Say.HALT)
        assert "'order-42' belongs to process instance 7; this is 8" in answer.message
        assert world.available == 1
        assert len(world.rows) == 1

    def test_a_second_instance_undoes_nothing_of_the_first(self, world: World) -> None:
        world.stock(count=1)
        world.deliver(hold_stock, LAMP, job=1, instance=7)

        answer = world.deliver(release, job=2, instance=8)

        assert (answer.outcome, answer.say) == (Outcome.DUPLICATE, Say.HALT)
        assert world.states == [(1, State.OPEN)]

    # Names and runs change over the years.

    def test_a_renamed_step_keeps_its_rows(self, world: World) -> None:
        world.stock(count=2)
        first = world.deliver(hold_stock, LAMP, job=1)
        service = Service("shop")

        @service.step(was="hold_stock")
        def set_aside(session: Session, sku: str, quantity: int) -> StockHeld:
            return hold_stock.function(session, sku, quantity)

        @set_aside.compensation
        def put_back(session: Session, held: StockHeld) -> None:
            release.function(session, held)

        again = world.deliver(set_aside, LAMP, job=1)
        undone = world.deliver(put_back, job=2)

        assert (again.outcome, again.variables) == (Outcome.REPLAYED, first.variables)
        assert undone.outcome is Outcome.COMPENSATED
        assert world.available == 2

    def test_a_row_from_before_the_step_had_each_matches_any(self, world: World) -> None:
        service = Service("shop")

        @service.step
        def pack(session: Session, line: str) -> None: ...

        world.deliver(pack, {"line": "a"}, job=1)
        world.engine.jobs |= {1: GONE, 2: HELD}
        later = Service("shop").step(each="line")(pack.function)

        assert world.deliver(later, {"line": "a"}, job=1).outcome is Outcome.REPLAYED
        assert world.deliver(later, {"line": "a"}, job=2).outcome is Outcome.ADOPTED
        assert len(world.rows) == 1
