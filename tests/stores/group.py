"""The contract of grouped jobs: one commit for all, and each as if it had been alone."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from sagaworks import Halt, Retry, Service
from sagaworks.ledger.answers import Answer, Outcome, Say
from sagaworks.ledger.group import BrokenGroupError, Job, can_share
from sagaworks.ledger.rows import State
from sagaworks.ledger.tables import ledger as ledger_table
from tests.stores.shop import (
    OutOfStock,
    Parcel,
    Shelf,
    StockHeld,
    book_shipment,
    cancel_shipment,
    count_stock,
    hold_stock,
    pack_line,
    release_stock,
)
from tests.stores.steps import GONE, HELD, LAMP, at_once
from tests.stores.world import Task, World, delivery_to


def order(n: int, sku: str = "lamp", **more: Any) -> Job:
    """Return the job of order n, which takes one of a product."""
    delivery = delivery_to(
        hold_stock, {"sku": sku, "quantity": 1}, job=n, saga=f"order-{n}", instance=n
    )
    return Job(delivery, **more)


def undo_of(n: int, **more: Any) -> Job:
    """Return the job that undoes order n's."""
    return Job(delivery_to(release_stock, job=1000 + n, saga=f"order-{n}", instance=n), **more)


def together(world: World, task: Task, *jobs: Job) -> list[Outcome | None]:
    return [answer and answer.outcome for answer in world.ledger.run_group(task, jobs)]


def take_for(number: int, does: Callable[[Session], object]) -> Task:
    """Return a step that takes a lamp, and for one order then does something more."""

    def take_a_lamp(session: Session, order: int) -> StockHeld:
        held = hold_stock.function(session, "lamp", 1)
        session.flush()
        if order == number:
            does(session)
        return held

    return Service("shop").step(take_a_lamp)


def orders(task: Task, *numbers: int) -> list[Job]:
    return [
        Job(delivery_to(task, {"order": n}, job=n, saga=f"order-{n}", instance=n)) for n in numbers
    ]


def raising(error: Exception) -> Callable[[Session], object]:
    def run(_session: Session) -> None:
        raise error

    return run


class GroupContract:
    def test_jobs_of_a_group_are_each_executed(self, world: World) -> None:
        world.stock(count=5)

        outcomes = together(world, hold_stock, order(1), order(2), order(3))

        assert outcomes == [Outcome.EXECUTED] * 3
        assert world.available == 2
        assert world.states == [(1, State.OPEN)] * 3

    def test_answers_come_in_the_order_of_the_jobs(self, world: World) -> None:
        world.stock("lamp", count=5)
        world.stock("chair", count=5)

        lamp, chair = world.ledger.run_group(hold_stock, [order(1, "lamp"), order(2, "chair")])

        assert lamp is not None
        assert b'"lamp"' in lamp.variables
        assert chair is not None
        assert b'"chair"' in chair.variables

    def test_nothing_is_seen_of_a_group_before_its_commit(self, world: World) -> None:
        world.stock(count=5)
        seen: list[int] = []
        step = take_for(3, lambda _session: seen.append(len(world.rows)))

        together(world, step, *orders(step, 1, 2, 3))

        assert seen == [0]
        assert len(world.rows) == 3

    def test_the_last_unit_goes_to_one_and_is_refused_to_the_others(self, world: World) -> None:
        world.stock(count=1)

        answers = world.ledger.run_group(hold_stock, [order(n) for n in (1, 2, 3)])

        said = [(answer.outcome, answer.say, answer.code) for answer in answers if answer]
        assert said == [
            (Outcome.EXECUTED, Say.COMPLETE, ""),
            (Outcome.REFUSED, Say.THROW, "OUT_OF_STOCK"),
            (Outcome.REFUSED, Say.THROW, "OUT_OF_STOCK"),
        ]
        assert world.available == 0
        assert world.states == [(1, State.OPEN), (1, State.REFUSED), (1, State.REFUSED)]

    def test_a_refusal_takes_back_its_own_effect_and_nobody_elses(self, world: World) -> None:
        world.stock(count=5)
        step = take_for(2, raising(OutOfStock("after all")))

        outcomes = together(world, step, *orders(step, 1, 2, 3))

        assert outcomes == [Outcome.EXECUTED, Outcome.REFUSED, Outcome.EXECUTED]
        assert world.available == 3

    @pytest.mark.parametrize("error", [ValueError("a bug"), Retry("later"), Halt("look")])
    def test_any_other_error_leaves_its_job_to_be_run_alone(
        self, world: World, error: Exception
    ) -> None:
        world.stock(count=5)
        step = take_for(2, raising(error))

        outcomes = together(world, step, *orders(step, 1, 2, 3))

        assert outcomes == [Outcome.EXECUTED, None, Outcome.EXECUTED]
        assert world.available == 3
        assert len(world.rows) == 2

    def test_a_job_about_which_the_engine_must_be_asked_is_run_alone(self, world: World) -> None:
        world.stock(count=5)
        world.deliver(hold_stock, LAMP, job=99, saga="order-2", instance=2)

        outcomes = together(world, hold_stock, order(1), order(2), order(3))

        assert outcomes == [Outcome.EXECUTED, None, Outcome.EXECUTED]
        assert world.engine.asked == []
        world.engine.jobs = {2: HELD, 99: GONE}
        alone = world.ledger.run(hold_stock, order(2).delivery)
        assert alone.outcome is Outcome.ADOPTED

    def test_a_second_process_instance_of_a_saga_halts_in_a_group_too(self, world: World) -> None:
        world.stock(count=5)
        world.deliver(hold_stock, LAMP, job=99, saga="order-2", instance=77)

        outcomes = together(world, hold_stock, order(1), order(2))

        assert outcomes == [Outcome.EXECUTED, Outcome.DUPLICATE]

    def test_two_deliveries_of_one_job_in_a_group_are_one_execution(self, world: World) -> None:
        world.stock(count=5)

        outcomes = together(world, hold_stock, order(1), order(1), order(2))

        assert outcomes == [Outcome.EXECUTED, Outcome.REPLAYED, Outcome.EXECUTED]
        assert world.available == 3
        assert world.column("reports") == [2, 1]

    def test_runs_of_one_saga_may_share_a_group(self, world: World) -> None:
        lines = [
            Job(delivery_to(pack_line, {"line": line}, job=n)) for n, line in enumerate("abc", 1)
        ]

        assert together(world, pack_line, *lines) == [Outcome.EXECUTED] * 3
        assert world.parcels == 3

    def test_compensations_are_grouped_likewise(self, world: World) -> None:
        world.stock(count=5)
        together(world, hold_stock, order(1), order(2))
        world.hear_of("order-3", instance=3)

        outcomes = together(world, release_stock, undo_of(1), undo_of(2), undo_of(3), undo_of(4))

        undone = [Outcome.COMPENSATED, Outcome.COMPENSATED, Outcome.NULL_COMPENSATION]
        assert outcomes == [*undone, None]
        assert world.available == 5
        assert [row.undone_by for row in world.rows] == [1001, 1002, None]

    def test_remote_and_reading_tasks_are_never_grouped(self) -> None:
        tasks = (hold_stock, release_stock, count_stock, book_shipment, cancel_shipment)

        assert [can_share(task) for task in tasks] == [True, True, False, False, False]

    def test_each_step_of_a_group_runs_in_its_own_context(self, world: World) -> None:
        world.stock(count=5)
        saga: ContextVar[str] = ContextVar("saga", default="")
        seen = []
        step = take_for(2, lambda _session: seen.append(saga.get()))
        jobs = orders(step, 1, 2)
        jobs[1].context.run(saga.set, "order-2")

        together(world, step, *jobs)

        assert seen == ["order-2"]

    # The whole group, or nothing.

    def test_a_database_error_undoes_the_whole_group(self, world: World) -> None:
        world.stock(count=5)

        def add_twice(session: Session) -> None:
            session.add(Shelf(sku="lamp", available=1))
            session.flush()

        step = take_for(2, add_twice)

        with pytest.raises(BrokenGroupError):
            together(world, step, *orders(step, 1, 2, 3))

        assert world.available == 5
        assert world.rows == []
        first, second, _ = orders(step, 1, 2, 3)
        assert world.ledger.run(step, first.delivery).outcome is Outcome.EXECUTED
        with pytest.raises(IntegrityError):
            world.ledger.run(step, second.delivery)

    def test_a_refusal_out_of_a_failed_statement_undoes_the_group_and_stands_alone(
        self, world: World
    ) -> None:
        world.stock(count=5)

        def take_a_seat(session: Session) -> None:
            session.add(Parcel(id=1, line="a"))
            session.flush()
            session.expunge_all()
            session.add(Parcel(id=1, line="b"))
            try:
                session.flush()
            except IntegrityError:
                raise OutOfStock("taken") from None

        step = take_for(2, take_a_seat)

        with pytest.raises(BrokenGroupError):
            together(world, step, *orders(step, 1, 2))

        assert world.available == 5
        assert world.ledger.run(step, orders(step, 2)[0].delivery).outcome is Outcome.REFUSED

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    def test_a_step_that_ends_the_transaction_undoes_the_whole_group(
        self, world: World, end: str
    ) -> None:
        world.stock(count=5)
        step = take_for(2, lambda session: getattr(session.connection(), end)())

        with pytest.raises(BrokenGroupError):
            together(world, step, *orders(step, 1, 2, 3))

        assert world.available == 5
        assert world.rows == []

    def test_a_compensation_that_swallows_the_end_of_the_transaction_undoes_the_whole_group(
        self, world: World
    ) -> None:
        """What MariaDB does to a step that goes on after a deadlock, brought about by hand."""
        world.stock(count=5)
        step = Service("shop").step(hold_stock.function)

        @step.compensation
        def stumble(session: Session, held: StockHeld) -> None:
            if held.quantity == 2:
                driver = session.connection().connection.dbapi_connection
                assert driver is not None
                driver.rollback()
                driver.cursor().execute("BEGIN")
            release_stock.function(session, held)

        for n in (1, 2):
            variables = {"sku": "lamp", "quantity": n}
            world.deliver(step, variables, job=n, saga=f"order-{n}", instance=n)
        undone = [
            Job(delivery_to(stumble, job=1000 + n, saga=f"order-{n}", instance=n)) for n in (1, 2)
        ]

        with pytest.raises(BrokenGroupError):
            together(world, stumble, *undone)

        assert world.available == 2
        assert [row.state for row in world.rows] == [State.OPEN] * 2

    def test_a_row_deleted_under_a_step_undoes_the_whole_group(self, world: World) -> None:
        world.stock(count=5)
        step = take_for(2, lambda session: session.execute(delete(ledger_table)))

        with pytest.raises(BrokenGroupError):
            together(world, step, *orders(step, 1, 2, 3))

        assert world.available == 5
        assert world.rows == []

    # Jobs that were taken away.

    def test_a_job_lost_while_its_step_ran_is_late_and_the_others_stand(self, world: World) -> None:
        world.stock(count=5)

        outcomes = together(world, hold_stock, order(1), order(2, held=lambda: False), order(3))

        assert outcomes == [Outcome.EXECUTED, Outcome.LATE, Outcome.EXECUTED]
        assert world.available == 3

    @pytest.mark.parametrize("undone", [False, True], ids=["step", "compensation"])
    def test_a_job_lost_before_the_commit_undoes_the_whole_group(
        self, world: World, *, undone: bool
    ) -> None:
        world.stock(count=5)
        if undone:
            together(world, hold_stock, order(1), order(2))
        before = (world.available, [row.state for row in world.rows])
        still_held = iter([True])
        lost = {"held": lambda: next(still_held, False)}
        jobs = [undo_of(1, **lost), undo_of(2)] if undone else [order(1, **lost), order(2)]

        with pytest.raises(BrokenGroupError):
            together(world, release_stock if undone else hold_stock, *jobs)

        assert (world.available, [row.state for row in world.rows]) == before

    # Groups beside each other.

    def test_duplicates_in_simultaneous_groups_are_never_refused(self, world: World) -> None:
        other = world.second_worker()
        outcomes: list[Outcome] = []
        for n in range(0, 40, 4):
            for sku in range(n, n + 4):
                world.stock(f"lamp-{sku}")
            jobs = [order(sku + 1, f"lamp-{sku}") for sku in range(n, n + 4)]

            def deliver(at: World, jobs: list[Job]) -> list[Answer]:
                return deliver_all(at, hold_stock, jobs)

            answers = at_once(
                lambda jobs=jobs: deliver(world, jobs),
                lambda jobs=jobs[::-1]: deliver(other, jobs),
                lambda jobs=jobs: deliver(world, jobs[:2]),
                lambda jobs=jobs: deliver(other, jobs[2:]),
            )
            outcomes += [answer.outcome for some in answers for answer in some]

        assert outcomes.count(Outcome.EXECUTED) == 40
        assert outcomes.count(Outcome.REPLAYED) == 80


def deliver_all(world: World, task: Task, jobs: list[Job]) -> list[Answer]:
    """Run a group, and alone whatever it leaves to be run alone, as the runtime does."""
    try:
        answers = world.ledger.run_group(task, [Job(job.delivery) for job in jobs])
    except BrokenGroupError:
        answers = [None] * len(jobs)
    return [
        answer or world.ledger.run(task, job.delivery)
        for job, answer in zip(jobs, answers, strict=True)
    ]
