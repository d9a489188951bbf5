"""The contract of a database that is a server: locks, deadlocks, lost connections, all real."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import ClassVar

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from sagaworks import Service
from sagaworks.ledger import store
from sagaworks.ledger.answers import Answer, Outcome, Say
from sagaworks.ledger.faults import CommitUnknownError, DatabaseUnavailableError
from sagaworks.ledger.group import BrokenGroupError, Job
from sagaworks.ledger.rows import State
from sagaworks.ledger.statements import lock_saga
from sagaworks.step import Step
from sagaworks.testing.servers import Server
from tests.stores.shop import Shelf, StockHeld, hold_stock, pack_line
from tests.stores.steps import LAMP, at_once
from tests.stores.world import ORDER, TENANT, Task, World, delivery_to

SHORT = timedelta(seconds=1)
"""The shortest wait that both servers know: MariaDB counts in seconds."""

Does = Callable[[Session], object]


def take(name: str, does: Does) -> Step[..., StockHeld]:
    """Return a step that takes a lamp, and then does something more."""

    def run(session: Session) -> StockHeld:
        held = hold_stock.function(session, "lamp", 1)
        session.flush()
        does(session)
        return held

    run.__name__ = name
    return Service("shop").step(run)


def locked(session: Session, sku: str) -> Shelf:
    return session.get_one(Shelf, sku, with_for_update=True)


def once(does: Does) -> Does:
    """Return what happens at the first call only."""
    calls = iter([does])

    def run(session: Session) -> None:
        next(calls, lambda _session: None)(session)

    return run


def tell_at_length(session: Session) -> StockHeld:
    return StockHeld(sku="x" * 900_000, quantity=1)


@contextmanager
def fast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr("sagaworks.ledger.protocol._LOCAL_PAUSES", (0.01, 0.01, 0.01))
        yield


class ServerContract:
    """What both servers do.

    Attributes:
        RAISES: a statement that fails with the error `code`.
        ITSELF: asks for the session's own number.
        END: ends the session of that number.
        ISOLATION: asks for the transaction's isolation level.
    """

    RAISES: ClassVar[str]
    ITSELF: ClassVar[str]
    END: ClassVar[str]
    ISOLATION: ClassVar[str]

    def fail(self, session: Session, code: str) -> None:
        """Have the server fail with an error of this code, as it would by itself."""
        session.connection().exec_driver_sql(self.RAISES.format(code=code))

    def end_session_of(self, server: Server, connection: Connection) -> None:
        number = connection.exec_driver_sql(self.ITSELF).scalar_one()
        server.execute(self.END.format(number=number))

    # What the ledger decides in.

    def test_transactions_are_read_committed_whatever_the_server_says(self, world: World) -> None:
        with world.store.writing() as connection:
            assert connection.exec_driver_sql(self.ISOLATION).scalar() in (
                "read committed",
                "READ-COMMITTED",
            )

    def test_keys_that_only_look_alike_are_different_sagas(self, world: World) -> None:
        world.stock(count=9)
        alike = ["Order-42", "order-42", "ORDER-42", "ord\u00e9r-42", "\u043erder-42"]

        answers = [
            world.deliver(hold_stock, LAMP, saga=key, job=n, instance=n)
            for n, key in enumerate(alike, 1)
        ]

        assert [answer.outcome for answer in answers] == [Outcome.EXECUTED] * len(alike)
        assert world.available == 9 - len(alike)

    def test_values_of_each_that_only_look_alike_are_different_runs(self, world: World) -> None:
        for n, line in enumerate(["lamp", "Lamp", "lamp ", " lamp"], 1):
            assert world.deliver(pack_line, {"line": line}, job=n).outcome is Outcome.EXECUTED

        assert world.parcels == 4

    def test_a_large_fact_is_kept_whole(self, world: World) -> None:
        step = Service("shop").step(tell_at_length)

        first = world.deliver(step)
        again = world.deliver(step)

        assert len(first.variables) > 900_000
        assert again.outcome is Outcome.REPLAYED
        assert again.variables == first.variables

    def test_moments_are_the_servers_and_finer_than_a_second(self, world: World) -> None:
        world.stock()
        world.deliver(hold_stock, LAMP)

        created, answered = world.column("created_at")[0], world.column("answered_at")[0]

        assert created < answered
        assert answered - created < timedelta(seconds=1)

    # Simultaneous deliveries.

    def test_when_the_winner_rolls_back_the_next_one_does_it(self, world: World) -> None:
        """The first to claim raises; who waited for it proceeds, and nobody is refused."""
        other = world.second_worker()
        tries: list[int] = []

        def hold(session: Session, sku: str, quantity: int) -> StockHeld:
            tries.append(1)
            held = hold_stock.function(session, sku, quantity)
            session.flush()
            if len(tries) == 1:
                time.sleep(0.05)
                raise ValueError("the first one stumbles")
            return held

        step = Service("shop").step(hold)
        for n in range(1, 21):
            tries.clear()
            world.stock(f"lamp-{n}")
            variables = {"sku": f"lamp-{n}", "quantity": 1}

            def deliver(worker: World, n: int = n, given: dict[str, object] = variables) -> Answer:
                try:
                    return worker.deliver(step, given, job=n, saga=f"order-{n}", instance=n)
                except ValueError:
                    return Answer(Outcome.LATE, Say.NOTHING)

            answers = at_once(*(lambda at=at: deliver(at) for at in (world, other) * 2))
            outcomes = sorted(answer.outcome for answer in answers)
            assert outcomes == ["executed", "late", "replayed", "replayed"]

    # Waiting, and waiting for each other.

    def test_a_deadlock_is_run_again_and_nobody_notices(self, world: World) -> None:
        world.stock("lamp", 5)
        world.stock("chair", 5)
        met = threading.Barrier(2, timeout=10)
        deadlocked: list[str] = []

        def crossed(first: str, second: str) -> Step[..., StockHeld]:
            def wait(_session: Session) -> None:
                met.wait()

            meet = once(wait)

            def cross(session: Session) -> StockHeld:
                locked(session, first).available -= 1
                session.flush()
                meet(session)
                try:
                    locked(session, second)
                except DBAPIError:
                    deadlocked.append(first)
                    raise
                return StockHeld(sku=first, quantity=1)

            return Service("shop").step(cross)

        one, two = crossed("lamp", "chair"), crossed("chair", "lamp")
        answers = at_once(
            lambda: world.deliver(one, saga="order-1", job=1, instance=1),
            lambda: world.deliver(two, saga="order-2", job=2, instance=2),
        )

        assert len(deadlocked) == 1
        assert [answer.outcome for answer in answers] == [Outcome.EXECUTED] * 2
        assert world.available == 4

    def test_a_deadlock_that_a_step_swallows_commits_nothing_by_halves(self, world: World) -> None:
        """MariaDB has rolled back the claim by then, and would commit what follows without it."""
        world.stock("lamp", 5)
        world.stock("chair", 5)
        met = threading.Barrier(2, timeout=10)
        swallowed: list[str] = []

        def crossed(first: str, second: str) -> Step[..., StockHeld]:
            def wait(_session: Session) -> None:
                met.wait()

            meet = once(wait)

            def cross(session: Session) -> StockHeld:
                change = text(
                    "UPDATE shelf SET available = available - 1 WHERE sku = :sku"
                ).bindparams(sku=first)
                session.execute(change)
                meet(session)
                try:
                    session.execute(change, {"sku": second})
                except DBAPIError:
                    swallowed.append(first)
                    # On MariaDB this goes into a transaction of its own, without a claim.
                    with suppress(DBAPIError):
                        session.execute(change, {"sku": first})
                return StockHeld(sku=first, quantity=1)

            return Service("shop").step(cross)

        one, two = crossed("lamp", "chair"), crossed("chair", "lamp")
        answers = at_once(
            lambda: world.deliver(one, saga="order-1", job=1, instance=1),
            lambda: world.deliver(two, saga="order-2", job=2, instance=2),
        )

        assert len(swallowed) == 1
        assert [answer.outcome for answer in answers] == [Outcome.EXECUTED] * 2
        # Each took one of both, once: what was taken after the swallowed deadlock is undone.
        assert (world.left("lamp"), world.left("chair")) == (3, 3)
        assert world.states == [(1, State.OPEN)] * 2

    def test_a_deadlock_that_a_compensation_swallows_undoes_nothing_by_halves(
        self, world: World
    ) -> None:
        """Its row stood there before, so that marking it as undone succeeds in any transaction."""
        world.stock("lamp", 5)
        world.stock("chair", 5)
        met = threading.Barrier(2, timeout=10)
        swallowed: list[str] = []

        def crossed(first: str, second: str) -> tuple[Task, Task]:
            meet = once(lambda _session: met.wait())

            def take(session: Session) -> StockHeld:
                return StockHeld(sku=first, quantity=1)

            def put_back(session: Session, held: StockHeld) -> None:
                change = text("UPDATE shelf SET available = available + 1 WHERE sku = :sku")
                session.execute(change, {"sku": first})
                meet(session)
                try:
                    session.execute(change, {"sku": second})
                except DBAPIError:
                    swallowed.append(held.sku)

            step = Service("shop").step(take)
            return step, step.compensation(put_back)

        pairs = crossed("lamp", "chair"), crossed("chair", "lamp")
        for n, (step, _) in enumerate(pairs, start=1):
            world.deliver(step, saga=f"order-{n}", job=n, instance=n)
        answers = at_once(
            *(
                lambda undo=undo, n=n: world.deliver(
                    undo, saga=f"order-{n}", job=10 + n, instance=n
                )
                for n, (_, undo) in enumerate(pairs, start=1)
            )
        )

        assert len(swallowed) == 1
        assert [answer.outcome for answer in answers] == [Outcome.COMPENSATED] * 2
        assert (world.left("lamp"), world.left("chair")) == (7, 7)
        assert world.states == [(1, State.UNDONE)] * 2

    def test_a_deadlock_between_two_groups_is_settled_job_by_job(self, world: World) -> None:
        world.stock("lamp", 5)
        world.stock("chair", 5)
        met = threading.Barrier(2, timeout=10)
        broken: list[BrokenGroupError] = []

        def taking(*skus: str) -> Step[..., StockHeld]:
            meet = once(lambda _session: met.wait())

            def take_one(session: Session, place: int) -> StockHeld:
                locked(session, skus[place]).available -= 1
                session.flush()
                meet(session)
                return StockHeld(sku=skus[place], quantity=1)

            return Service("shop").step(take_one)

        def deliver(task: Step[..., StockHeld], *numbers: int) -> list[Answer]:
            jobs = [
                Job(delivery_to(task, {"place": place}, job=n, saga=f"order-{n}", instance=n))
                for place, n in enumerate(numbers)
            ]
            try:
                answers = world.ledger.run_group(task, jobs)
            except BrokenGroupError as error:
                broken.append(error)
                answers = [world.ledger.run(task, job.delivery) for job in jobs]
            return [answer for answer in answers if answer]

        one, two = taking("lamp", "chair"), taking("chair", "lamp")
        answers = at_once(lambda: deliver(one, 1, 2), lambda: deliver(two, 3, 4))

        assert len(broken) == 1
        assert [answer.outcome for some in answers for answer in some] == [Outcome.EXECUTED] * 4
        assert world.available == 3

    def test_a_lock_that_is_not_given_in_time_hands_the_job_back(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world, other = World(database_url), World(database_url, wait=SHORT)
        world.stock()
        monkeypatch.setattr("sagaworks.ledger.protocol._LOCAL_PAUSES", ())
        with world.store.writing() as connection:
            lock_saga(connection, TENANT, ORDER, process_id="place_order", process_instance=1)
            with pytest.raises(DatabaseUnavailableError):
                other.deliver(hold_stock, LAMP)

        assert world.available == 1
        assert world.rows == []
        assert other.deliver(hold_stock, LAMP).outcome is Outcome.EXECUTED
        world.close()
        other.close()

    def test_a_transaction_that_stands_idle_is_ended_by_the_server(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World(database_url, wait=SHORT)
        world.stock()
        idle = once(lambda _session: time.sleep(SHORT.total_seconds() + 0.7))

        answer = world.deliver(take("dawdle", idle))

        assert answer.outcome is Outcome.EXECUTED
        assert world.available == 0
        world.close()

    # Errors that say nothing of the step.

    def test_a_broken_world_is_tried_several_times_and_handed_back(
        self, world: World, world_code: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.stock()
        tries: list[int] = []

        def fail(session: Session) -> None:
            tries.append(1)
            self.fail(session, world_code)

        with fast(monkeypatch), pytest.raises(DatabaseUnavailableError):
            world.deliver(take("hold", fail))

        assert len(tries) == 4
        assert world.available == 1
        assert world.rows == []

    def test_an_error_of_the_steps_own_is_met_once(self, world: World, own_code: str) -> None:
        world.stock()
        tries: list[int] = []

        def fail(session: Session) -> None:
            tries.append(1)
            self.fail(session, own_code)

        with pytest.raises(DBAPIError):
            world.deliver(take("hold", fail))

        assert len(tries) == 1
        assert world.rows == []

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE shelf SET available = 'secret-lamp'",
            "INSERT INTO shelf SELECT 'secret-lamp', 1 UNION ALL SELECT 'secret-lamp', 2",
            "SELECT nothing 'secret-lamp' more",
        ],
    )
    def test_no_error_of_the_server_tells_a_value(self, world: World, statement: str) -> None:
        world.stock()

        with pytest.raises(DBAPIError) as raised:
            world.deliver(take("tell", lambda session: session.execute(text(statement))))

        # The statement itself is code.
        told = "".join(traceback.format_exception(raised.value)).replace(statement, "")
        assert "secret" not in told

    # Lost connections.

    def test_a_session_ended_under_a_step_is_run_again(self, world: World, server: Server) -> None:
        world.stock()
        end = once(lambda session: self.end_session_of(server, session.connection()))

        answer = world.deliver(take("hold", end))

        assert answer.outcome is Outcome.EXECUTED
        assert world.available == 0

    def test_a_server_that_restarted_costs_no_job(self, world: World, server: Server) -> None:
        world.stock(count=9)
        at_once(
            *(
                lambda n=n: world.deliver(hold_stock, LAMP, saga=f"{n}", job=n, instance=n)
                for n in (1, 2, 3)
            )
        )
        server.restart()

        answer = world.deliver(hold_stock, LAMP, saga="4", job=4, instance=4)

        assert answer.outcome is Outcome.EXECUTED
        assert world.available == 5

    def test_a_server_that_crashed_has_lost_nothing(
        self, world: World, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.stock(count=9)
        world.deliver(hold_stock, LAMP)
        server.kill()
        try:
            with fast(monkeypatch), pytest.raises(DatabaseUnavailableError) as unavailable:
                world.deliver(hold_stock, LAMP, saga="order-2", job=2, instance=2)
        finally:
            server.start()

        assert "password" not in str(unavailable.value)
        assert world.deliver(hold_stock, LAMP).outcome is Outcome.REPLAYED
        assert world.available == 8

    @pytest.mark.parametrize("next_outcome", [Outcome.REPLAYED, Outcome.EXECUTED])
    def test_a_commit_whose_end_is_unknown_says_nothing_and_the_next_delivery_sees(
        self,
        world: World,
        server: Server,
        next_outcome: Outcome,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        world.stock(count=5)
        commit_what_waits = store.commit_what_waits

        def lose(connection: Connection) -> None:
            monkeypatch.undo()
            session = connection.exec_driver_sql(self.ITSELF).scalar_one()
            if next_outcome is Outcome.REPLAYED:
                commit_what_waits(connection)
                connection.connection.commit()
            server.execute(self.END.format(number=session))
            commit_what_waits(connection)
            connection.exec_driver_sql(self.ITSELF)

        monkeypatch.setattr(store, "commit_what_waits", lose)

        with pytest.raises(CommitUnknownError):
            world.deliver(hold_stock, LAMP)

        assert world.deliver(hold_stock, LAMP).outcome is next_outcome
        assert world.available == 4
        assert len(world.rows) == 1

    # The connections themselves.

    def test_a_connection_goes_back_without_a_transaction(self, world: World) -> None:
        world.stock(count=9)
        one = World(world.url, pool_size=1)

        def stumble(_session: Session) -> None:
            raise ValueError("a bug")

        with pytest.raises(ValueError, match="a bug"):
            one.deliver(take("hold", stumble))
        with one.store.engine.connect() as connection:
            connection.exec_driver_sql("UPDATE shelf SET available = 0")

        assert world.available == 9
        assert one.deliver(hold_stock, LAMP, saga="order-2", instance=2).outcome is Outcome.EXECUTED
        assert world.available == 8
        one.close()
