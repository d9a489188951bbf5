"""The contract of the reconciler: what history shows of an open row, and what is done about it."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from loguru import logger
from sqlmodel import Session, select

from sagaworks import Halt, Retry, Service
from sagaworks.history import HistoryUnavailable, Instance, MemoryHistory
from sagaworks.ledger import tables
from sagaworks.ledger.answers import Outcome, Say
from sagaworks.ledger.protocol import Ledger
from sagaworks.ledger.rows import WITHDRAWN, State
from sagaworks.ledger.witness import Witness
from sagaworks.reconcile import Reconciler, Rhythm, adopt, doubts_of, keep, withdraw
from sagaworks.reconcile.settling import Hands, Settling
from sagaworks.saga import JobKey, SagaKey
from tests.stores.recorded import PLAIN, Recorded
from tests.stores.shop import (
    StockHeld,
    book_shipment,
    cancel_shipment,
    carrier,
    hold_stock,
    pack_line,
    release_stock,
    shop,
    unpack_line,
)
from tests.stores.steps import GONE, HELD, LAMP, at_once
from tests.stores.world import ORDER, TENANT, World

AT_ONCE = Rhythm(patience=-1, listed_after=-1)

PIVOT = """
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
             xmlns:zeebe="http://camunda.org/schema/zeebe/1.0">
  <process id="p" isExecutable="true">
    <serviceTask id="charge_card"><extensionElements><zeebe:properties>
      <zeebe:property name="saga.kind" value="pivot"/>
    </zeebe:properties></extensionElements></serviceTask>
    <subProcess id="packing"><extensionElements><zeebe:properties>{leave}</zeebe:properties>
      </extensionElements><serviceTask id="hold_stock"/></subProcess>
    <sequenceFlow id="to_hold" sourceRef="begin" targetRef="hold_stock"/>
  </process>
</definitions>
"""

UNDECLARED = PIVOT.format(leave="")


def declared(leave: str) -> str:
    return PIVOT.format(leave=f'<zeebe:property name="saga.leave" value="{leave}"/>')


class UpToDate(MemoryHistory):
    """One that has come as far as the engine has; the times of its records are made up."""

    def seen_until(self, key: SagaKey) -> int:
        return sys.maxsize


class Settled:
    """A world with an engine's history, and the reconciler of its worker."""

    def __init__(self, world: World, service: Service = shop) -> None:
        self.world = world
        self.history = UpToDate()
        self.engine = Recorded(self.history)
        self.outcomes: Counter[str] = Counter()
        self.reconciler = self.another(world, service)
        witness = Witness(self.history, pause=lambda _: None)
        world.ledger = Ledger(world.store, world.engine.probe, lambda _: None, witness)

    def another(self, world: World, service: Service = shop) -> Reconciler:
        """The reconciler of one of several workers."""

        def tell(_step: str, outcome: str, _saga: str, _what: str) -> None:
            self.outcomes[outcome] += 1

        self.settling = Settling(service, Hands(world.store), None, tell)
        return Reconciler(world.store, self.settling, self.history, TENANT, AT_ONCE)

    def sweep(self) -> None:
        self.reconciler.sweep()

    @property
    def listed(self) -> list[tuple[str, str]]:
        """Step and kind of what is left to a person."""
        with self.world.store.reading() as connection:
            return [(one.step, one.kind) for one in doubts_of(connection, TENANT)]

    def hold(
        self, state: str = "COMPLETED", *, counted: bool = True, diagram: str | None = PLAIN
    ) -> None:
        """A saga whose first step holds a lamp, and whose job the engine says this of."""
        self.world.stock(count=3)
        self.engine.saga(ORDER, 1, diagram=diagram)
        answer = self.world.deliver(hold_stock, LAMP, job=11)
        if counted and answer.row:
            self.world.ledger.mark_counted([answer.row])
        self.engine.job(hold_stock, state, job=11)


class SettleContract:
    @pytest.fixture
    def errors_logged(self) -> Iterator[list[str]]:
        lines: list[str] = []
        sink = logger.add(lines.append, format="{message}", level="ERROR", diagnose=False)
        yield lines
        logger.remove(sink)

    @pytest.fixture
    def settled(self, world: World) -> Settled:
        return Settled(world)

    # Counted, or not yet.

    def test_a_job_that_history_saw_completed_is_counted(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold(counted=False)

        settled.sweep()

        assert world.in_doubt(0) == 0
        assert settled.outcomes == {"counted": 1}
        assert (world.available, settled.listed) == (2, [])

    @pytest.mark.parametrize("state", ["CREATED", "FAILED", "TIMED_OUT"])
    def test_a_job_that_is_there_is_waited_for(
        self, world: World, settled: Settled, state: str
    ) -> None:
        settled.hold(state, counted=False)

        settled.sweep()

        assert world.in_doubt(-1) == 1
        assert settled.listed == []

    def test_a_missing_record_proves_nothing_and_stays_listed(
        self, world: World, settled: Settled
    ) -> None:
        world.stock(count=3)
        settled.engine.saga(ORDER, 1)
        world.deliver(hold_stock, LAMP, job=11)

        settled.sweep()
        settled.sweep()

        assert settled.listed == [("hold_stock", "in_doubt")]
        assert settled.outcomes == {"in_doubt": 1}
        assert world.available == 2

    def test_what_was_listed_leaves_the_list_once_history_knows(
        self, world: World, settled: Settled
    ) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=11)
        settled.sweep()
        assert settled.listed == [("hold_stock", "forgotten")]
        settled.engine.saga(ORDER, 1)
        settled.engine.job(hold_stock, "COMPLETED", job=11)

        settled.sweep()

        assert settled.listed == []
        assert world.in_doubt(-1) == 0

    @pytest.mark.parametrize(
        "seconds,kind", [(-60, "in_doubt"), (0, "in_doubt"), (60, "forgotten")]
    )
    def test_only_a_history_that_has_come_past_an_effect_can_say_it_is_forgotten(
        self,
        world: World,
        settled: Settled,
        monkeypatch: pytest.MonkeyPatch,
        seconds: int,
        kind: str,
    ) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=11)
        seen = int((time.time() + seconds) * 1000)
        monkeypatch.setattr(settled.history, "seen_until", lambda _: seen)

        settled.sweep()

        assert settled.listed == [("hold_stock", kind)]

    def test_a_record_of_another_saga_with_the_same_keys_says_nothing(
        self, world: World, settled: Settled
    ) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=11)
        settled.engine.saga("order-7", 1)
        settled.engine.job(hold_stock, "CANCELED", job=11)
        settled.engine.cancelled(1)

        settled.sweep()

        assert world.available == 2
        assert settled.listed == [("hold_stock", "forgotten")]

    def test_a_record_of_another_step_with_the_same_key_says_nothing(
        self, world: World, settled: Settled
    ) -> None:
        world.stock(count=3)
        settled.engine.saga(ORDER, 1)
        world.deliver(hold_stock, LAMP, job=11)
        settled.engine.job(pack_line, "CANCELED", job=11)

        settled.sweep()

        assert world.available == 2
        assert settled.listed == [("hold_stock", "in_doubt")]

    def test_a_damaged_row_is_told_once_and_keeps_no_other_saga_waiting(
        self, world: World, settled: Settled, errors_logged: list[str]
    ) -> None:
        settled.hold("CANCELED", counted=False)
        world.change_rows(jobs="[1, ")
        settled.engine.saga("order-43", 2)
        world.deliver(hold_stock, LAMP, job=12, saga="order-43", instance=2)
        settled.engine.job(hold_stock, "CANCELED", job=12, instance=2)

        settled.sweep()
        settled.sweep()

        [told] = errors_logged
        assert "(hold_stock of 'order-42') can't be read: its jobs aren't a list of keys" in told
        assert "Traceback" not in told
        assert settled.outcomes == {"withdrawn": 1}, "the other saga's"
        assert world.available == 2, "what nobody can read is left as it is"

    def test_a_damaged_row_that_was_restored_is_settled(
        self, world: World, settled: Settled, errors_logged: list[str]
    ) -> None:
        settled.hold("CANCELED", counted=False)
        world.change_rows(jobs="7")
        settled.sweep()
        world.change_rows(jobs="[11]")

        settled.sweep()
        world.change_rows(state=State.OPEN, undone_by=None, jobs="7")
        settled.sweep()

        assert settled.outcomes == {"withdrawn": 1}
        assert world.available == 3
        assert len(errors_logged) == 2, "damaged again, it's told again"

    def test_history_that_is_away_changes_nothing(
        self, world: World, settled: Settled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settled.hold("CANCELED")

        def away(_key: int) -> None:
            raise HistoryUnavailable("away")

        monkeypatch.setattr(settled.history, "instance", away)
        settled.sweep()

        assert world.available == 2
        assert settled.listed == []

    def test_a_saga_that_has_ended_is_not_looked_at_again(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.ended(1)
        assert settled.reconciler.sweep() == 1

        assert settled.reconciler.sweep() == 0

    def test_a_job_brings_its_ended_saga_back_to_be_looked_at(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.ended(1)
        settled.sweep()

        world.deliver(hold_stock, LAMP, job=11)

        assert settled.reconciler.sweep() == 1

    def test_an_end_that_was_seen_in_one_life_is_not_noted_for_the_next(
        self, world: World, settled: Settled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settled.hold()
        settled.engine.ended(1)
        known = settled.history.instance

        def restored_meanwhile(key: SagaKey) -> Instance | None:
            found = known(key)
            settled.engine.restored()
            settled.engine.saga(ORDER, 1, began=2000)
            return found

        with monkeypatch.context() as patched:
            patched.setattr(settled.history, "instance", restored_meanwhile)
            settled.sweep()
        settled.engine.job(hold_stock, "COMPLETED", job=11)
        settled.engine.cancelled(1)
        settled.sweep()

        assert world.available == 3

    def test_portions_come_to_every_saga(self, world: World, settled: Settled) -> None:
        world.stock(count=9)
        settled.reconciler._rhythm = replace(AT_ONCE, portion=2)
        for n in range(1, 6):
            settled.engine.saga(f"order-{n}", n)
            world.deliver(hold_stock, LAMP, job=n, saga=f"order-{n}", instance=n)
            settled.engine.job(hold_stock, "COMPLETED", job=n, instance=n)

        for _ in range(5):
            settled.sweep()

        assert settled.outcomes["counted"] == 5

    def test_without_history_what_is_in_doubt_is_listed_and_what_was_recorded_is_undone(
        self, world: World, settled: Settled
    ) -> None:
        world.stock(count=3)
        counted = world.deliver(hold_stock, LAMP, job=11)
        world.ledger.mark_counted([counted.row or 0])
        for n in (2, 3):
            world.deliver(hold_stock, LAMP, job=n, saga=f"order-{n}", instance=n)
        without = Reconciler(world.store, settled.settling, None, TENANT, AT_ONCE)

        without.sweep()
        assert settled.listed == [("hold_stock", "in_doubt")] * 2

        with world.store.writing() as connection:
            withdraw(connection, TENANT, world.rows[0].id)
            withdraw(connection, TENANT, world.rows[1].id)
        without.sweep()
        assert settled.listed == [("hold_stock", "in_doubt")]
        assert world.available == 2

    # Withdrawn.

    def test_an_effect_whose_job_was_taken_away_is_undone(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold("CANCELED", counted=False)

        settled.sweep()
        settled.sweep()

        assert world.available == 3
        assert [(row.state, row.undone_by) for row in world.rows] == [(State.UNDONE, WITHDRAWN)]
        assert settled.outcomes == {"withdrawn": 1}

    def test_a_cancelled_sagas_effects_are_undone_newest_first_counted_or_not(
        self, world: World
    ) -> None:
        undone: list[str] = []
        service = Service("shop")
        for name in ("first", "second", "third"):

            def do(session: Session) -> None: ...

            do.__name__ = name
            service.step(do).compensation(_noting(undone, name))
        settled = Settled(world, service)
        settled.engine.saga(ORDER, 1)
        for n, step in enumerate(service.steps.values(), 1):
            answer = world.deliver(step, job=n)
            settled.engine.job(step, "COMPLETED", job=n)
            world.ledger.mark_counted([answer.row] if answer.row and n < 3 else [])
        settled.engine.cancelled(1)

        settled.sweep()

        assert undone == ["third", "second", "first"]
        assert {row.state for row in world.rows} == {State.UNDONE}

    def test_cancelling_a_duplicate_undoes_nothing_of_the_first(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.saga(ORDER, 2)
        settled.engine.job(hold_stock, "CREATED", job=12, instance=2)
        assert world.deliver(hold_stock, LAMP, job=12, instance=2).outcome is Outcome.DUPLICATE
        settled.engine.job(hold_stock, "CANCELED", job=12, instance=2)
        settled.engine.cancelled(2)

        settled.sweep()

        assert world.available == 2

    def test_after_the_pivot_nothing_is_withdrawn_only_listed(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold(diagram=UNDECLARED)
        settled.engine.element("charge_card", "ELEMENT_COMPLETED", 77, scope=1)
        settled.engine.cancelled(1)

        settled.sweep()

        assert world.available == 2
        assert settled.listed == [("hold_stock", "stands")]

    @pytest.mark.parametrize("gone", ["saga", "around it"])
    def test_where_the_diagram_is_unknown_nothing_is_withdrawn_and_nothing_forgotten(
        self, world: World, settled: Settled, gone: str
    ) -> None:
        settled.hold(diagram=None)
        settled.engine.element("hold_stock", "ELEMENT_COMPLETED", 1011, scope=50)
        settled.engine.element("packing", "ELEMENT_TERMINATED", 50, scope=1, kind="SUB_PROCESS")
        settled.engine.element("charge_card", "ELEMENT_COMPLETED", 77, scope=1)
        if gone == "saga":
            settled.engine.cancelled(1)
        else:
            settled.engine.ended(1)

        settled.sweep()
        settled.sweep()

        assert world.available == 2
        assert [step for step, _ in settled.listed] == ["hold_stock"]

    def test_a_person_may_let_it_stand_or_have_it_undone(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold(diagram=UNDECLARED)
        settled.engine.element("charge_card", "ELEMENT_COMPLETED", 77, scope=1)
        settled.engine.cancelled(1)
        settled.sweep()
        (row,) = world.rows

        with world.store.writing() as connection:
            assert keep(connection, TENANT, row.id, "the customer has it")
        settled.sweep()
        assert (settled.listed, world.available) == ([], 2)

        with world.store.writing() as connection:
            assert withdraw(connection, TENANT, row.id)
            assert not withdraw(connection, TENANT, row.id)
        settled.sweep()
        assert world.available == 3

    @pytest.mark.parametrize(
        "diagram,left,kind",
        [
            (declared("undo"), 3, []),
            (declared("keep"), 2, []),
            (UNDECLARED, 2, [("hold_stock", "stands")]),
        ],
        ids=["undo", "keep", "undeclared"],
    )
    def test_what_was_terminated_around_a_completed_step_is_left_as_declared(
        self,
        world: World,
        settled: Settled,
        diagram: str,
        left: int,
        kind: list[tuple[str, str]],
    ) -> None:
        settled.hold(diagram=diagram)
        settled.engine.element("hold_stock", "ELEMENT_COMPLETED", 1011, scope=50)
        settled.engine.element("packing", "ELEMENT_TERMINATED", 50, scope=1, kind="SUB_PROCESS")

        settled.sweep()

        assert (world.available, settled.listed) == (left, kind)

    def test_a_withdrawal_looks_again_under_the_lock(
        self, world: World, settled: Settled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settled.hold("CANCELED", counted=False)
        world.engine.jobs.update({11: GONE, 12: HELD})
        settled.engine.job(hold_stock, "CREATED", job=12)
        job = settled.history.job

        def then_another_job_adopts(key: int) -> object:
            found = job(key)
            if key == 11:
                monkeypatch.setattr(settled.history, "job", job)
                adopted = world.deliver(hold_stock, LAMP, job=12)
                assert adopted.outcome is Outcome.ADOPTED
            return found

        monkeypatch.setattr(settled.history, "job", then_another_job_adopts)
        settled.reconciler.settle(ORDER)

        assert world.available == 2
        assert [(row.state, row.undone_by) for row in world.rows] == [(State.OPEN, None)]

    def test_an_adopted_row_goes_with_its_new_instance(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.job(hold_stock, "CANCELED", job=11)
        settled.engine.job(hold_stock, "CREATED", job=12)
        world.engine.jobs.update({11: GONE, 12: HELD})

        world.deliver(hold_stock, LAMP, job=12)

        assert [row.element_instance for row in world.rows] == [1012]

    # An undo that was begun, fails, or can't be.

    def test_an_undo_whose_job_is_gone_is_finished(self, world: World, settled: Settled) -> None:
        settled.hold()
        world.change_rows(undone_by=21)
        settled.engine.job(release_stock, "CREATED", job=21)
        settled.sweep()
        assert world.available == 2

        settled.engine.job(release_stock, "CANCELED", job=21)
        settled.sweep()

        assert world.available == 3
        assert [row.state for row in world.rows] == [State.UNDONE]

    def test_a_step_without_compensation_is_stranded(self, world: World) -> None:
        service = Service("shop")

        @service.step
        def note(session: Session) -> None: ...

        settled = Settled(world, service)
        settled.engine.saga(ORDER, 1)
        world.deliver(note, job=1)
        settled.engine.job(note, "CANCELED", job=1)

        settled.sweep()
        settled.sweep()

        assert settled.listed == [("note", "stranded")]
        assert settled.outcomes == {"stranded": 1}

    def test_an_undo_that_fails_is_stranded_and_tried_again_with_pauses(self, world: World) -> None:
        service = Service("shop")
        tries: list[int] = []

        @service.step
        def hold(session: Session) -> StockHeld:
            return hold_stock.function(session, "lamp", 1)

        @hold.compensation
        def release(session: Session, held: StockHeld) -> None:
            release_stock.function(session, held)
            session.flush()
            tries.append(1)
            if len(tries) < 2:
                raise Retry("the shelf is being moved")

        settled = Settled(world, service)
        world.stock(count=3)
        settled.engine.saga(ORDER, 1)
        world.deliver(hold, job=1)
        settled.engine.job(hold, "CANCELED", job=1)

        settled.sweep()
        settled.sweep()
        assert (settled.listed, len(tries), world.available) == ([("hold", "stranded")], 1, 2)

        with world.store.writing() as connection:
            connection.exec_driver_sql("UPDATE sagaworks_doubt SET tries = 0")
        settled.sweep()
        assert (settled.listed, world.available) == ([], 3)
        assert settled.outcomes == {"stranded": 1, "withdrawn": 1}

    def test_a_compensations_bug_is_stranded_and_the_next_saga_is_settled(
        self, world: World
    ) -> None:
        service = Service("shop")

        @service.step
        def hold(session: Session) -> StockHeld:
            return hold_stock.function(session, "lamp", 1)

        @hold.compensation
        def release(session: Session, held: StockHeld) -> None:
            raise ZeroDivisionError

        service.steps["hold_stock"] = hold_stock
        settled = Settled(world, service)
        world.stock(count=3)
        for n, step in enumerate((hold, hold_stock), 1):
            settled.engine.saga(f"order-{n}", n)
            world.deliver(step, LAMP, job=n, saga=f"order-{n}", instance=n)
            settled.engine.job(step, "CANCELED", job=n, instance=n)

        settled.sweep()

        assert settled.listed == [("hold", "stranded")]
        assert world.available == 2

    # Remote steps.

    def test_an_intent_is_finished_by_the_same_call_and_then_undone(
        self, world: World, settled: Settled
    ) -> None:
        settled.engine.saga(ORDER, 1)
        self.lose_the_answer(world)
        settled.engine.job(book_shipment, "CANCELED", job=5)

        settled.sweep()

        assert len({*carrier.calls}) == 2
        assert carrier.standing == set()
        assert [(row.state, row.undone_by) for row in world.rows] == [(State.UNDONE, WITHDRAWN)]

    def test_an_intent_that_the_engine_counts_is_finished(
        self, world: World, settled: Settled
    ) -> None:
        settled.engine.saga(ORDER, 1)
        self.lose_the_answer(world)
        settled.engine.job(book_shipment, "COMPLETED", job=5)

        settled.sweep()

        assert carrier.standing == {"shipment-1"}
        assert ([row.state for row in world.rows], world.parcels) == ([State.OPEN], 1)
        assert world.in_doubt(-1) == 0

    def test_past_the_partners_memory_no_call_is_repeated(
        self, world: World, settled: Settled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settled.engine.saga(ORDER, 1)
        self.lose_the_answer(world)
        monkeypatch.setattr(book_shipment, "remembers", timedelta(seconds=-1))
        settled.engine.job(book_shipment, "CANCELED", job=5)

        settled.sweep()
        with pytest.raises(Halt, match="its partner remembers keys for"):
            world.deliver(cancel_shipment, job=6)

        assert len(carrier.calls) == 1
        assert settled.listed == [("book_shipment", "stranded")]

    def test_past_the_partners_memory_a_delivery_halts(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.lose_the_answer(world)
        monkeypatch.setattr(book_shipment, "remembers", timedelta(seconds=-1))

        with pytest.raises(Halt, match="ask the partner, and settle it by hand"):
            world.deliver(book_shipment, {"address": "Main Street 1"}, job=5)

        assert len(carrier.calls) == 1

    def lose_the_answer(self, world: World) -> None:
        """Book a shipment whose answer never comes back."""

        def break_off(_key: str) -> None:
            carrier.after = lambda _key: None
            raise Retry("no answer")

        carrier.after = break_off
        with pytest.raises(Retry):
            world.deliver(book_shipment, {"address": "Main Street 1"}, job=5)

    # Several at once.

    def test_of_several_reconcilers_and_a_compensation_one_undoes(self, world: World) -> None:
        settled = Settled(world)
        other = world.second_worker()
        second = settled.another(other)
        world.stock(count=20)
        for n in range(1, 11):
            settled.engine.saga(f"order-{n}", n)
            world.deliver(hold_stock, LAMP, job=n, saga=f"order-{n}", instance=n)
            settled.engine.job(hold_stock, "CANCELED", job=n, instance=n)

        def compensate(n: int) -> object:
            return world.deliver(release_stock, job=100 + n, saga=f"order-{n}", instance=n)

        for n in range(1, 11):
            settled.engine.job(release_stock, "CREATED", job=100 + n, instance=n)
            at_once(
                lambda n=n: settled.reconciler.settle(f"order-{n}"),
                lambda n=n: second.settle(f"order-{n}"),
                lambda n=n: compensate(n),
            )

        assert world.available == 20
        assert {row.state for row in world.rows if row.state is not State.FENCE} == {State.UNDONE}

    def test_a_claim_and_a_withdrawal_do_not_pass_each_other(self, world: World) -> None:
        settled = Settled(world)
        other = world.second_worker()
        world.stock(count=20)
        for n in range(1, 11):
            saga = {"saga": f"order-{n}", "instance": n}
            settled.engine.saga(f"order-{n}", n)
            world.deliver(hold_stock, LAMP, job=n, **saga)
            settled.engine.job(hold_stock, "CANCELED", job=n, instance=n)
            settled.engine.job(hold_stock, "CREATED", job=100 + n, instance=n)
            world.engine.jobs.update({n: GONE, 100 + n: HELD})

            def adopt_or_wait(saga: dict[str, object] = saga, n: int = n) -> str:
                try:
                    return other.deliver(hold_stock, LAMP, job=100 + n, **saga).outcome
                except Retry:
                    return "waits"

            _, said = at_once(lambda n=n: settled.reconciler.settle(f"order-{n}"), adopt_or_wait)
            open_rows = [row for row in world.rows if row.is_open]
            assert len(open_rows) == (said in {"adopted", "executed"})
            assert world.available == 20 - len(open_rows)
            settled.engine.cancelled(n)
            settled.engine.job(hold_stock, "CANCELED", job=100 + n, instance=n)
            settled.reconciler.settle(f"order-{n}")

        assert world.available == 20

    # The lives of an engine.

    def test_a_cancelled_saga_that_is_alive_again_is_kept_out(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.cancelled(1)
        settled.sweep()
        settled.engine.job(pack_line, "CREATED", job=12)

        answer = world.deliver(pack_line, {"line": "a"}, job=12)

        assert (answer.outcome, answer.say) == (Outcome.CLOSED, Say.HALT)
        assert "sagaworks adopt order-42" in answer.message

    def test_an_instance_of_the_same_number_that_begins_anew_is_another(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.cancelled(1)
        settled.sweep()
        settled.engine.restored()
        settled.engine.saga(ORDER, 1, began=9_999)
        settled.engine.job(hold_stock, "CREATED", job=11)
        world.engine.jobs[11] = HELD

        answer = world.deliver(hold_stock, LAMP, job=11)

        assert answer.outcome is Outcome.EXECUTED
        assert world.states == [(1, State.UNDONE), (2, State.OPEN)]

    def test_a_saga_that_the_engine_forgot_passes_to_its_new_instance(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.restored()
        settled.engine.saga(ORDER, 2, began=9_999)
        settled.engine.job(hold_stock, "CREATED", job=21, instance=2)
        world.engine.jobs.update({11: GONE, 21: HELD})

        with pytest.raises(HistoryUnavailable) as asked:
            world.deliver(hold_stock, LAMP, job=21, instance=2)
        settled.engine.handed_back(hold_stock, 21, 2, f"history must decide: {asked.value}")
        answer = world.deliver(hold_stock, LAMP, job=21, instance=2)

        assert answer.outcome is Outcome.ADOPTED
        assert [(row.process_instance, row.job) for row in world.rows] == [(2, 21)]
        assert world.available == 2

    def test_in_the_engines_first_life_an_unknown_owner_proves_nothing(
        self, world: World, settled: Settled
    ) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=11)
        settled.engine.saga(ORDER, 2)
        settled.engine.job(hold_stock, "CREATED", job=21, instance=2)

        answer = world.deliver(hold_stock, LAMP, job=21, instance=2)

        assert (answer.outcome, world.available) == (Outcome.DUPLICATE, 2)

    @pytest.mark.parametrize("deliveries", [1, 3])
    def test_an_owner_whose_records_are_on_their_way_is_not_forgotten(
        self, world: World, settled: Settled, deliveries: int
    ) -> None:
        """However far behind history is, and whatever it knows of the job that asks."""
        _two_owners(world, settled)
        for _ in range(deliveries):
            with pytest.raises(HistoryUnavailable, match="asked once more"):
                world.deliver(hold_stock, LAMP, job=21, instance=2)
        settled.engine.saga(ORDER, 1)
        settled.engine.handed_back(hold_stock, 21, 2, "process instance 1 is unknown")

        answer = world.deliver(hold_stock, LAMP, job=21, instance=2)

        assert (answer.outcome, world.available) == (Outcome.DUPLICATE, 2)

    @pytest.mark.parametrize(
        "other",
        [
            "process instance 1 is unknown in the engine's life 1: asked once more",
            "process instance 3 is unknown in the engine's life 2: asked once more",
            "history has no record of job 21 yet",
        ],
        ids=["another life", "another owner", "another reason"],
    )
    def test_what_was_handed_back_for_another_reason_proves_nothing(
        self, world: World, settled: Settled, other: str
    ) -> None:
        _two_owners(world, settled)
        settled.engine.handed_back(hold_stock, 21, 2, other)

        with pytest.raises(HistoryUnavailable, match="asked once more"):
            world.deliver(hold_stock, LAMP, job=21, instance=2)

    def test_what_proved_it_in_a_former_life_proves_nothing_in_the_next(
        self, world: World, settled: Settled
    ) -> None:
        _two_owners(world, settled)
        with pytest.raises(HistoryUnavailable) as asked:
            world.deliver(hold_stock, LAMP, job=21, instance=2)
        settled.engine.restored()
        settled.engine.saga(ORDER, 2, began=99_999)
        settled.engine.handed_back(hold_stock, 21, 2, str(asked.value))

        with pytest.raises(HistoryUnavailable, match="life 3"):
            world.deliver(hold_stock, LAMP, job=21, instance=2)

    def test_an_owner_on_another_partition_is_left_to_a_person(
        self, world: World, settled: Settled
    ) -> None:
        elsewhere = (2 << 51) + 2
        settled.hold()
        settled.engine.restored()
        settled.engine.saga(ORDER, elsewhere, began=9_999)
        settled.engine.job(hold_stock, "CREATED", job=21, instance=elsewhere)

        answer = world.deliver(hold_stock, LAMP, job=21, instance=elsewhere)

        assert answer.outcome is Outcome.DUPLICATE

    def test_an_owner_of_which_a_record_may_be_unread_is_left_to_a_person(
        self, world: World, settled: Settled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _two_owners(world, settled)
        monkeypatch.setattr(
            settled.history,
            "unread",
            lambda keys: {key: "text" for key in keys if key == 1},
            raising=False,
        )

        answer = world.deliver(hold_stock, LAMP, job=21, instance=2)

        assert (answer.outcome, world.available) == (Outcome.DUPLICATE, 2)

    def test_a_saga_that_has_ended_is_ended_in_every_life(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.ended(1)
        settled.sweep()
        settled.engine.restored()
        settled.engine.saga(ORDER, 2, began=9_999)
        settled.engine.job(hold_stock, "CREATED", job=21, instance=2)

        first = world.deliver(hold_stock, LAMP, job=21, instance=2)
        again = world.deliver(hold_stock, LAMP, job=21, instance=2)

        assert [first.outcome, again.outcome] == [Outcome.DUPLICATE, Outcome.DUPLICATE]

    def test_what_the_engine_forgot_is_listed_and_adopted_or_undone(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.restored()
        settled.engine.saga("order-7", 3)

        settled.sweep()
        assert settled.listed == [("hold_stock", "forgotten")]

        with world.store.writing() as connection:
            assert adopt(connection, TENANT, ORDER, SagaKey(8))
            assert not adopt(connection, TENANT, ORDER, SagaKey(8))
            assert not adopt(connection, TENANT, "order-nobody", SagaKey(8))
            assert withdraw(connection, TENANT, world.rows[0].id)
        settled.sweep()
        assert (settled.listed, world.available) == ([], 3)

    def test_a_saga_ended_in_an_earlier_life_and_alive_in_this_one_is_looked_at_again(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.ended(1)
        settled.sweep()
        settled.engine.restored()
        settled.engine.saga(ORDER, 1, began=1000)
        settled.engine.job(hold_stock, "COMPLETED", job=11)

        settled.sweep()
        settled.engine.job(pack_line, "CANCELED", job=12)
        settled.engine.cancelled(1)
        settled.sweep()

        assert world.available == 3

    def test_a_mark_of_an_earlier_life_is_void(self, world: World, settled: Settled) -> None:
        settled.hold()
        settled.sweep()
        settled.engine.restored()
        settled.engine.saga(ORDER, 1)
        settled.engine.job(hold_stock, "CREATED", job=11)
        settled.engine.job(hold_stock, "CANCELED", job=11)

        settled.sweep()

        assert world.available == 3

    # What history couldn't read.

    def test_where_the_pivots_end_may_be_unread_nothing_is_withdrawn(
        self, world: World, settled: Settled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settled.hold(diagram=UNDECLARED)
        settled.engine.cancelled(1)
        missing = _misses(settled, monkeypatch)

        settled.sweep()
        settled.sweep()

        assert settled.listed == [("hold_stock", "in_doubt")]
        with world.store.reading() as connection:
            assert [one.why for one in doubts_of(connection, TENANT)] == [missing]
        assert world.available == 2

    def test_what_comes_unread_while_a_row_is_judged_is_heard_of(
        self, world: World, settled: Settled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settled.hold()
        settled.engine.cancelled(1)
        job = settled.history.job

        def then_it_comes(key: JobKey) -> object:
            _misses(settled, monkeypatch)
            return job(key)

        monkeypatch.setattr(settled.history, "job", then_it_comes)
        settled.sweep()

        assert settled.listed == [("hold_stock", "in_doubt")]
        assert world.available == 2

    def test_what_was_seen_whole_is_settled_whatever_else_is_unread(
        self, world: World, settled: Settled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settled.hold()
        settled.engine.ended(1)
        _misses(settled, monkeypatch)

        settled.sweep()

        assert settled.listed == []
        with world.store.reading() as connection:
            assert connection.execute(select(tables.saga.c.ended_in)).scalars().all() == [1]

    def test_a_question_that_an_unread_record_may_answer_halts(
        self, world: World, settled: Settled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settled.hold()
        settled.engine.job(hold_stock, "CREATED", job=21)
        world.engine.jobs.update({11: GONE, 21: HELD})
        missing = _misses(settled, monkeypatch)

        with pytest.raises(Halt) as halted:
            world.deliver(hold_stock, LAMP, job=21)

        assert halted.value.why.startswith(missing)

    # What the table asks history.

    def test_of_several_open_effects_history_says_which_is_undone(
        self, world: World, settled: Settled
    ) -> None:
        settled.engine.saga(ORDER, 1)
        for n, line in enumerate("abc", 1):
            world.deliver(pack_line, {"line": line}, job=n)
            settled.engine.job(pack_line, "COMPLETED", job=n)
        for by, of in ((21, 1001), (22, 1003), (23, 1002)):
            settled.engine.job(unpack_line, "CREATED", job=by)
            settled.engine.undoing(of, 1000 + by)

            world.deliver(unpack_line, {"line": "c"}, job=by)

        assert [(row.each, row.undone_by) for row in world.rows] == [
            ("a", 21),
            ("b", 23),
            ("c", 22),
        ]

    def test_a_compensation_of_a_run_that_was_withdrawn_takes_no_other_run(
        self, world: World, settled: Settled
    ) -> None:
        settled.engine.saga(ORDER, 1)
        for n, (line, state) in enumerate((("a", "CANCELED"), ("b", "COMPLETED")), 1):
            world.deliver(pack_line, {"line": line}, job=n)
            settled.engine.job(pack_line, state, job=n)
        settled.sweep()
        settled.engine.job(unpack_line, "CREATED", job=21)

        answer = world.deliver(unpack_line, {"line": "a"}, job=21)

        assert (answer.outcome, world.parcels) == (Outcome.NULL_COMPENSATION, 1)

    def test_a_compensation_that_had_nothing_to_undo_leaves_one_fence_however_often_it_comes(
        self, world: World, settled: Settled
    ) -> None:
        settled.engine.saga(ORDER, 1)
        for n, (line, state) in enumerate((("a", "CANCELED"), ("b", "COMPLETED")), 1):
            world.deliver(pack_line, {"line": line}, job=n)
            settled.engine.job(pack_line, state, job=n)
        settled.sweep()
        settled.engine.job(unpack_line, "CREATED", job=21)
        settled.engine.undoing(1001, 1021)

        outcomes = [world.deliver(unpack_line, {"line": "a"}, job=21).outcome for _ in range(3)]

        assert outcomes == [Outcome.NULL_COMPENSATION, Outcome.REPLAYED, Outcome.REPLAYED]
        assert [row.state for row in world.rows] == [State.UNDONE, State.OPEN, State.FENCE]

    def test_history_says_that_a_body_undoes_all_of_its_runs(
        self, world: World, settled: Settled
    ) -> None:
        settled.engine.saga(ORDER, 1)
        for n, line in enumerate("ab", 1):
            world.deliver(pack_line, {"line": line}, job=n)
            settled.engine.element("pack_line", "ELEMENT_COMPLETED", 1000 + n, scope=50)
            settled.engine.job(pack_line, "COMPLETED", job=n)
        settled.engine.job(unpack_line, "CREATED", job=21)
        settled.engine.undoing(50, 1021)

        answer = world.deliver(unpack_line, job=21)

        assert answer.outcome is Outcome.COMPENSATED
        assert world.parcels == 0

    def test_a_completed_job_that_no_row_knows_is_loud(
        self, world: World, settled: Settled
    ) -> None:
        world.hear_of()
        settled.engine.saga(ORDER, 1)
        settled.engine.job(hold_stock, "COMPLETED", job=1)
        settled.engine.job(release_stock, "CREATED", job=21)
        settled.engine.undoing(1001, 1021)

        with pytest.raises(Halt, match="this ledger has no row of it"):
            world.deliver(release_stock, job=21)

    def test_an_undo_in_a_saga_that_is_unknown_here_stays_loud_though_history_is_asked(
        self, world: World, settled: Settled
    ) -> None:
        settled.engine.saga(ORDER, 1)
        settled.engine.job(release_stock, "CREATED", job=21)

        for _ in range(2):
            with pytest.raises(Halt, match="this ledger has no row of it"):
                world.deliver(release_stock, job=21)

        assert world.rows == []

    def test_a_compensation_that_came_before_undoes_what_was_done_anew(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.job(release_stock, "CREATED", job=21)
        world.deliver(release_stock, job=21)
        settled.engine.restored()
        settled.engine.saga(ORDER, 1)
        settled.engine.job(hold_stock, "CREATED", job=11)
        world.engine.jobs[11] = HELD
        world.deliver(hold_stock, LAMP, job=11)
        settled.engine.job(release_stock, "CREATED", job=21)
        settled.engine.undoing(1011, 1021)

        answer = world.deliver(release_stock, job=21)

        assert answer.outcome is Outcome.COMPENSATED
        assert world.available == 3

    def test_other_inputs_withdraw_what_the_engine_took_away_and_come_next(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold("CANCELED")
        settled.engine.job(hold_stock, "CREATED", job=12)
        world.engine.jobs.update({11: GONE, 12: HELD})
        two = {"sku": "lamp", "quantity": 2}
        with pytest.raises(Retry, match="is undone first"):
            world.deliver(hold_stock, two, job=12)

        settled.sweep()
        answer = world.deliver(hold_stock, two, job=12)

        assert (answer.outcome, world.available) == (Outcome.EXECUTED, 1)

    def test_other_inputs_of_a_job_that_was_completed_are_repeated(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold("COMPLETED")
        settled.engine.job(hold_stock, "CREATED", job=12)
        world.engine.jobs.update({11: GONE, 12: HELD})

        answer = world.deliver(hold_stock, {"sku": "lamp", "quantity": 2}, job=12)

        assert (answer.outcome, world.available) == (Outcome.REPEATED, 2)

    @pytest.mark.parametrize(
        "flows,outcome", [(1, Outcome.ADOPTED), (2, Outcome.REPEATED)], ids=["moved", "loop"]
    )
    def test_a_diagram_that_comes_back_is_repeated_and_an_operators_move_adopted(
        self, world: World, settled: Settled, flows: int, outcome: Outcome
    ) -> None:
        settled.hold(diagram=UNDECLARED)
        for n in range(flows):
            settled.engine.element(
                "to_hold", "SEQUENCE_FLOW_TAKEN", 60 + n, scope=1, kind="SEQUENCE_FLOW"
            )
        settled.engine.job(hold_stock, "CREATED", job=12)
        world.engine.jobs.update({11: GONE, 12: HELD})

        assert world.deliver(hold_stock, LAMP, job=12).outcome is outcome

    @pytest.mark.parametrize("incidents,outcome", [(0, Outcome.REPLAYED), (1, Outcome.EXECUTED)])
    def test_a_refusal_that_was_caught_stands_in_a_restored_engine(
        self, world: World, settled: Settled, incidents: int, outcome: Outcome
    ) -> None:
        world.stock(count=0)
        settled.engine.saga(ORDER, 1)
        settled.engine.job(hold_stock, "ERROR_THROWN", job=11)
        refused = world.deliver(hold_stock, LAMP, job=11)
        world.ledger.mark_counted([refused.row or 0])
        if incidents:
            settled.engine.uncaught(11)
        world.restock(5)
        world.engine.jobs[11] = HELD

        assert world.deliver(hold_stock, LAMP, job=11).outcome is outcome

    def test_a_job_that_history_has_not_seen_yet_waits_for_it(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold("CANCELED")
        world.engine.jobs.update({11: GONE, 12: HELD})

        with pytest.raises(HistoryUnavailable, match="no record of job 12"):
            world.deliver(hold_stock, LAMP, job=12)

        assert [row.job for row in world.rows] == [11]

    def test_a_record_of_a_former_life_is_no_sign_that_history_has_seen_the_job(
        self, world: World, settled: Settled
    ) -> None:
        """The engine was restored a moment ago, and gives the key to another step of the saga."""
        settled.hold("CANCELED")
        settled.engine.job(hold_stock, "CREATED", job=12, element_instance=2012)
        world.engine.jobs.update({11: GONE, 12: HELD})

        with pytest.raises(HistoryUnavailable, match="no record of job 12"):
            world.deliver(hold_stock, LAMP, job=12)

    def test_a_compensation_whose_token_was_moved_out_undoes_nothing(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.job(hold_stock, "CREATED", job=12)
        world.engine.jobs.update({11: GONE, 12: HELD, 21: GONE})
        world.deliver(hold_stock, LAMP, job=12)

        answer = world.deliver(release_stock, job=21)

        assert (answer.outcome, world.available) == (Outcome.LATE, 2)


def _misses(settled: Settled, monkeypatch: pytest.MonkeyPatch) -> str:
    """From now on something of every saga can't be read; return what history says of it."""
    why = "history can't read what the engine wrote at position 9 of partition 0: it's no JSON"
    monkeypatch.setattr(
        settled.history, "unread", lambda keys: dict.fromkeys(keys, why), raising=False
    )
    return why


def _two_owners(world: World, settled: Settled) -> None:
    """In a restored engine a second instance comes for a saga whose first one isn't known."""
    settled.engine.saga("order-7", 7)
    settled.engine.restored()
    settled.engine.saga("order-8", 8, began=9_999)
    world.stock(count=3)
    world.deliver(hold_stock, LAMP, job=11)
    settled.engine.saga(ORDER, 2)
    settled.engine.job(hold_stock, "CREATED", job=21, instance=2)
    world.engine.jobs.update({11: GONE, 21: HELD})


def _noting(undone: list[str], name: str) -> object:
    def undo(session: Session) -> None:
        undone.append(name)

    undo.__name__ = f"undo_{name}"
    return undo
