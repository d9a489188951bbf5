"""The contract of what goes wrong: nothing half done, nothing said that isn't committed."""

import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError, PendingRollbackError
from sqlmodel import Session

from sagaworks import Halt, Retry, SagaworksError, Service
from sagaworks.codec import LARGEST
from sagaworks.ledger.answers import Outcome, Say
from sagaworks.ledger.faults import LostRowError
from sagaworks.ledger.reader import read_owner
from sagaworks.ledger.rows import State
from sagaworks.ledger.tables import ledger as ledger_table
from sagaworks.step import Step
from tests.stores.shop import (
    LinePacked,
    OutOfStock,
    Parcel,
    Shelf,
    StockHeld,
    hold_stock,
    pack_line,
    release_stock,
)
from tests.stores.steps import HELD, LAMP
from tests.stores.world import ORDER, TENANT, World


def step_that(does: Callable[[Session], object]) -> Step[[Session], StockHeld]:
    """Return a step that takes a lamp, and then does something it shouldn't."""

    def take_a_lamp(session: Session) -> StockHeld:
        held = hold_stock.function(session, "lamp", 1)
        session.flush()
        does(session)
        return held

    return Service("shop").step(take_a_lamp)


def raising(error: Exception) -> Callable[[Session], object]:
    def run(_session: Session) -> None:
        raise error

    return run


def named(name: str, function: Callable[[Session], object]) -> Step[..., StockHeld]:
    """Return a step of that name which does what `function` does."""

    def run(session: Session) -> StockHeld:
        return function(session)  # type: ignore[return-value]  # that's the mistake on trial

    run.__name__ = name
    return Service("shop").step(run)


class FaultContract:
    # Only facts and refusals are answers.

    @pytest.mark.parametrize(
        "error", [Retry("not now", timedelta(seconds=3)), Halt("look"), ValueError("a bug")]
    )
    def test_any_other_error_leaves_nothing_behind(self, world: World, error: Exception) -> None:
        world.stock()

        with pytest.raises(type(error)) as raised:
            world.deliver(step_that(raising(error)))

        assert raised.value is error
        assert world.available == 1
        assert world.rows == []

    def test_after_an_error_the_same_job_is_simply_executed(self, world: World) -> None:
        world.stock()
        with pytest.raises(ValueError, match="a bug"):
            world.deliver(step_that(raising(ValueError("a bug"))))

        answer = world.deliver(step_that(lambda _session: None))

        assert answer.outcome is Outcome.EXECUTED
        assert world.engine.asked == []

    def test_a_compensation_that_fails_leaves_its_effect_open(self, world: World) -> None:
        world.stock()
        world.deliver(hold_stock, LAMP, job=1)
        step = Service("shop").step(hold_stock.function)

        @step.compensation
        def stumble(session: Session, held: StockHeld) -> None:
            release_stock.function(session, held)
            session.flush()
            raise ValueError("a bug")

        with pytest.raises(ValueError, match="a bug"):
            world.deliver(stumble, job=2)

        assert world.available == 0
        assert world.states == [(1, State.OPEN)]

    def test_a_step_that_has_lost_its_job_is_rolled_back_and_silent(self, world: World) -> None:
        world.stock()

        answer = world.deliver(hold_stock, LAMP, held=lambda: False)

        assert (answer.outcome, answer.say) == (Outcome.LATE, Say.NOTHING)
        assert world.available == 1
        assert world.rows == []

    def test_a_compensation_that_has_lost_its_job_is_rolled_back_and_silent(
        self, world: World
    ) -> None:
        world.stock()
        world.deliver(hold_stock, LAMP, job=1)

        answer = world.deliver(release_stock, job=2, held=lambda: False)

        assert (answer.outcome, answer.say) == (Outcome.LATE, Say.NOTHING)
        assert world.available == 0
        assert world.states == [(1, State.OPEN)]

    # The transaction is the ledger's.

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    def test_a_step_can_not_end_the_transaction(self, world: World, end: str) -> None:
        world.stock()

        with pytest.raises(SagaworksError, match="a step can't"):
            world.deliver(step_that(lambda session: getattr(session, end)()))

        assert world.available == 1
        assert world.rows == []

    def test_a_step_can_not_commit_by_way_of_the_connection(self, world: World) -> None:
        world.stock()

        with pytest.raises(SagaworksError, match="a step can't commit"):
            world.deliver(step_that(lambda session: session.connection().commit()))

        assert world.available == 1
        assert world.rows == []
        assert world.deliver(hold_stock, LAMP).outcome is Outcome.EXECUTED

    def test_a_step_may_use_savepoints(self, world: World) -> None:
        world.stock()

        def add_twice(session: Session) -> None:
            session.add(Parcel(id=1, line="a"))
            session.flush()
            session.expunge_all()
            with pytest.raises(IntegrityError), session.begin_nested():
                session.add(Parcel(id=1, line="b"))

        answer = world.deliver(step_that(add_twice))

        assert answer.outcome is Outcome.EXECUTED
        assert world.parcels == 1
        assert world.available == 0

    def test_a_failed_statement_that_a_step_swallows_rolls_back_everything(
        self, world: World
    ) -> None:
        world.stock()

        def add_what_is_there(session: Session) -> None:
            session.add(Shelf(sku="chair", available=1))
            session.flush()
            session.expunge_all()
            session.add(Shelf(sku="chair", available=2))
            with pytest.raises(IntegrityError):
                session.flush()

        with pytest.raises((LostRowError, PendingRollbackError)):
            world.deliver(step_that(add_what_is_there))

        assert world.available == 1
        assert world.rows == []

    def test_a_swallowed_loss_of_the_connection_is_run_again(self, world: World) -> None:
        world.stock()
        tries: list[int] = []

        def swallow(session: Session) -> None:
            tries.append(1)
            if len(tries) == 1:
                session.connection().invalidate()

        answer = world.deliver(step_that(swallow))

        assert answer.outcome is Outcome.EXECUTED
        assert world.available == 0

    def test_a_row_deleted_under_the_step_rolls_back_everything(self, world: World) -> None:
        world.stock()

        with pytest.raises(LostRowError):
            world.deliver(step_that(lambda session: session.execute(delete(ledger_table))))

        assert world.available == 1
        assert world.rows == []

    def test_a_row_altered_under_the_step_rolls_back_everything(self, world: World) -> None:
        world.stock()
        changed = update(ledger_table).values(state=State.UNDONE)

        with pytest.raises(LostRowError):
            world.deliver(step_that(lambda session: session.execute(changed)))

        assert world.available == 1
        assert world.rows == []

    def test_a_row_altered_under_a_compensation_rolls_back_everything(self, world: World) -> None:
        world.stock()
        world.deliver(hold_stock, LAMP, job=1)
        step = Service("shop").step(hold_stock.function)

        @step.compensation
        def wipe(session: Session, held: StockHeld) -> None:
            release_stock.function(session, held)
            session.execute(delete(ledger_table))

        with pytest.raises(LostRowError):
            world.deliver(wipe, job=2)

        assert world.available == 0
        assert world.states == [(1, State.OPEN)]

    def test_a_database_error_does_not_tell_the_values(self, world: World) -> None:
        world.stock("secret-lamp")

        def add_what_is_there(session: Session) -> None:
            session.add(Shelf(sku="secret-lamp", available=1))
            session.flush()

        world.stock()
        with pytest.raises(IntegrityError) as raised:
            world.deliver(step_that(add_what_is_there))

        told = "".join(traceback.format_exception(raised.value))
        assert "shelf" in told
        assert "secret" not in told

    # Facts and variables.

    def test_a_fact_that_is_too_large_halts_and_commits_nothing(self, world: World) -> None:
        world.stock()
        step = named("boast", lambda _session: StockHeld(sku="x" * LARGEST, quantity=1))

        with pytest.raises(Halt, match=r"the fact of shop\.boast: 1,000,0\d\d bytes, at most"):
            world.deliver(step)

        assert world.rows == []

    @pytest.mark.parametrize("returned", [None, "text", LinePacked(line="a", parcel=1)])
    def test_another_fact_than_the_declared_one_halts(self, world: World, returned: object) -> None:
        step = named("mislead", lambda _session: returned)

        with pytest.raises(Halt, match=r"shop\.mislead returned \w+, its signature says StockHeld"):
            world.deliver(step)

        assert world.rows == []

    def test_a_fact_where_none_is_declared_halts(self, world: World) -> None:
        service = Service("shop")

        @service.step
        def tell_too_much(session: Session) -> None:
            return StockHeld(sku="lamp", quantity=1)

        with pytest.raises(Halt, match="returned StockHeld, its signature says nothing"):
            world.deliver(tell_too_much)

        assert world.rows == []

    def test_a_fact_that_could_not_be_read_back_halts_before_it_is_needed(
        self, world: World
    ) -> None:
        def assign(session: Session) -> StockHeld:
            held = StockHeld(sku="lamp", quantity=1)
            held.quantity = "secret"  # type: ignore[assignment]  # models don't validate this
            return held

        with pytest.raises(Halt, match=r"can't be read back: quantity") as halted:
            world.deliver(Service("shop").step(assign))

        assert "secret" not in halted.value.why
        assert world.rows == []

    def test_a_missing_variable_halts_naming_it(self, world: World) -> None:
        with pytest.raises(Halt, match=r"shop\.hold_stock needs variable `quantity` \(int\)"):
            world.deliver(hold_stock, {"sku": "lamp"})

        assert world.rows == []

    def test_a_variable_of_another_type_halts_without_its_value(self, world: World) -> None:
        with pytest.raises(Halt, match=r"`quantity` \(int\): Input should be a valid") as halted:
            world.deliver(hold_stock, {"sku": "lamp", "quantity": "secret"})

        assert "secret" not in halted.value.why
        assert world.rows == []

    # Marks and counts.

    def test_an_answer_counts_its_report_in_its_own_commit(self, world: World) -> None:
        world.stock(count=0)
        world.deliver(pack_line, {"line": "a"}, job=1)
        world.deliver(hold_stock, LAMP, job=2)

        assert world.column("reports") == [1, 1]

    def test_each_further_report_is_counted_before_it_is_sent(self, world: World) -> None:
        world.stock()
        first = world.deliver(hold_stock, LAMP, job=1)
        world.deliver(hold_stock, LAMP, job=1)

        world.ledger.report_again(first.row or 0, first_job := world.rows[0].job)

        assert world.column("reports") == [3]
        assert world.rows[0].jobs == (first_job,)

    def test_a_mark_notes_that_the_engine_has_taken_the_answer(self, world: World) -> None:
        world.stock()
        kept = world.deliver(hold_stock, LAMP, job=1)
        refused = world.deliver(hold_stock, LAMP, job=2, saga="order-43", instance=2)
        world.deliver(pack_line, {"line": "a"}, job=3)

        world.ledger.mark_counted([kept.row or 0, refused.row or 0])

        assert [at is not None for at in world.column("counted_at")] == [True, True, False]
        assert [row.throw_accepted for row in world.rows] == [False, True, False]

    def test_effects_without_a_mark_are_in_doubt_after_a_while(self, world: World) -> None:
        world.stock()
        kept = world.deliver(hold_stock, LAMP, job=1)
        world.deliver(pack_line, {"line": "a"}, job=2)
        world.deliver(hold_stock, LAMP, job=3, saga="order-43", instance=2)
        world.hear_of("order-44", instance=3)
        world.deliver(release_stock, job=4, saga="order-44", instance=3)
        world.ledger.mark_counted([kept.row or 0])

        assert world.in_doubt(older_than_seconds=-1) == 1
        assert world.in_doubt(older_than_seconds=60) == 0

    # The trail.

    def test_the_trail_tells_what_happened_in_order(self, world: World) -> None:
        world.stock(count=0)
        world.deliver(hold_stock, LAMP, job=1)
        world.restock(1)
        world.engine.jobs[2] = HELD
        world.deliver(hold_stock, LAMP, job=2)
        world.deliver(release_stock, job=3)
        world.deliver(release_stock, job=4)

        trail = json.loads(json.dumps(world.trail()))

        assert [(told["event"], told["round"]) for told in trail] == [
            ("refused", 1),
            ("executed", 2),
            ("undone", 2),
            ("fenced", 3),
        ]
        assert trail[0]["code"] == "OUT_OF_STOCK"
        assert trail[2]["undone_by"] == 3
        times = [datetime.fromisoformat(told["at"]) for told in trail]
        assert times == sorted(times)
        assert abs(times[0] - datetime.now(UTC)) < timedelta(minutes=1)

    def test_the_trail_of_an_unknown_saga_is_empty(self, world: World) -> None:
        world.stock()
        world.deliver(hold_stock, LAMP)

        assert world.trail("order-7") == []

    def test_the_owner_of_a_business_key_is_known(self, world: World) -> None:
        world.stock()
        world.deliver(hold_stock, LAMP, instance=7)

        with world.store.reading() as connection:
            assert read_owner(connection, TENANT, ORDER) == 7
            assert read_owner(connection, TENANT, "order-7") is None

    def test_a_key_in_another_script_is_a_key(self, world: World) -> None:
        world.stock()

        answer = world.deliver(hold_stock, LAMP, saga="заказ/42 ☂")

        assert answer.outcome is Outcome.EXECUTED
        assert [told["event"] for told in world.trail("заказ/42 ☂")] == ["executed"]

    def test_a_refusal_with_text_that_is_no_unicode_is_still_recorded(self, world: World) -> None:
        answer = world.deliver(named("refuse", raising(OutOfStock("\ud800"))))

        assert answer.code == "OUT_OF_STOCK"
