"""The line to PostgreSQL: fewer round trips, and nothing that is said gets lost or cut on it."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError
from sqlmodel import Session

from sagaworks import Service
from sagaworks.ledger.answers import Outcome
from sagaworks.ledger.databases.database import LINE
from sagaworks.ledger.direct import Direct
from sagaworks.ledger.faults import LostRowError
from sagaworks.ledger.group import Job
from sagaworks.ledger.line import Line, Said
from sagaworks.ledger.rows import State
from sagaworks.step import Step
from tests.stores.shop import Shelf, StockHeld, hold_stock
from tests.stores.steps import LAMP
from tests.stores.world import World, delivery_to

NOTHING = Said(b"nothing", b"SELECT 1 / count(*) FROM shelf WHERE sku = $1", ["no"], hits_one=True)

LAMPS = Direct(text("SELECT available FROM shelf WHERE sku = 'lamp'"))


def step_that(does: Callable[[Session], object]) -> Step[..., StockHeld]:
    def hold(session: Session) -> StockHeld:
        held = hold_stock.function(session, "lamp", 1)
        session.flush()
        does(session)
        return held

    return Service("shop").step(hold)


def prepared(session: Session) -> int:
    counted = text("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'sagaworks%'")
    return int(session.execute(counted).scalar_one())


class LineContract:
    @pytest.fixture
    def trips(self, monkeypatch: pytest.MonkeyPatch) -> list[list[bytes]]:
        """The first words of what went together, in the order in which it went."""
        seen: list[list[bytes]] = []
        together = Line._together

        def note(line: Line, batch: Sequence[Said]) -> object:
            seen.append([said.text.split()[0] for said in batch])
            return together(line, batch)

        monkeypatch.setattr(Line, "_together", note)
        return seen

    def test_a_new_sagas_step_makes_two_round_trips_of_the_ledgers(
        self, world: World, trips: list[list[bytes]]
    ) -> None:
        world.stock()
        trips.clear()

        world.deliver(hold_stock, LAMP)

        assert trips == [[b"BEGIN", b"WITH"], [b"WITH", b"COMMIT"]]

    def test_a_groups_answers_go_with_what_comes_next(
        self, world: World, trips: list[list[bytes]]
    ) -> None:
        world.stock(count=5)
        trips.clear()
        jobs = [Job(delivery_to(hold_stock, LAMP, job=n, saga=f"{n}", instance=n)) for n in (1, 2)]

        world.ledger.run_group(hold_stock, jobs)

        begin = [b"BEGIN", b"SAVEPOINT", b"SAVEPOINT", b"WITH"]
        assert trips == [begin, [b"WITH", b"SAVEPOINT", b"WITH"], [b"WITH", b"RELEASE", b"COMMIT"]]
        assert world.available == 3

    def test_an_answer_that_hits_nothing_undoes_the_whole_group(self, world: World) -> None:
        world.stock(count=5)
        wiping = step_that(lambda session: session.execute(text("DELETE FROM sagaworks_ledger")))
        jobs = [Job(delivery_to(wiping, {}, job=n, saga=f"{n}", instance=n)) for n in (1, 2)]

        with pytest.raises(Exception, match="LostRowError"):
            world.ledger.run_group(wiping, jobs)

        assert world.available == 5
        assert world.rows == []

    def test_what_is_too_long_for_its_column_is_refused_not_cut(self, world: World) -> None:
        world.stock()
        delivery = delivery_to(hold_stock, LAMP)
        object.__setattr__(delivery.arrival, "element", "e" * 256)

        with pytest.raises(DataError, match="too long"):
            world.ledger.run(hold_stock, delivery)

        assert world.rows == []

    def test_what_holds_a_nul_is_refused_not_cut(self, world: World) -> None:
        service = Service("shop")

        @service.step(each="line")
        def check_line(session: Session, line: str) -> None: ...

        with pytest.raises(DataError, match="NUL"):
            world.deliver(check_line, {"line": "a\0b"})

        assert world.rows == []
        assert world.deliver(check_line, {"line": "a"}).outcome is Outcome.EXECUTED

    def test_a_large_fact_gets_through(self, world: World) -> None:
        sku = "x" * 900_000
        world.stock()

        def hold(session: Session) -> StockHeld:
            hold_stock.function(session, "lamp", 1)
            return StockHeld(sku=sku, quantity=1)

        world.deliver(Service("shop").step(hold))

        (row,) = world.rows
        assert row.answer is not None
        assert len(row.answer) > len(sku)

    def test_statements_stay_prepared_after_a_refusal(self, world: World) -> None:
        one = World(world.url, pool_size=-1)
        one.stock()
        one.deliver(hold_stock, LAMP, job=1)
        one.deliver(hold_stock, LAMP, job=2, saga="2", instance=2)
        found: list[int] = []
        one.restock(1)

        one.deliver(
            step_that(lambda session: found.append(prepared(session))), saga="3", instance=3
        )

        assert found[0] >= 3
        one.close()

    def test_a_table_that_is_dropped_takes_no_prepared_statement_of_the_ledgers_along(
        self,
        world: World,
    ) -> None:
        one = World(world.url, pool_size=-1)
        one.stock(count=9)

        def make_and_drop(session: Session) -> None:
            # Prepared by psycopg at its sixth time: only then are there any to be thrown away.
            for _ in range(6):
                session.execute(text("SELECT :one + 1"), {"one": 1})
            session.execute(text("CREATE TEMP TABLE passing (id int)"))
            session.execute(text("DROP TABLE passing"))

        for n in range(1, 4):
            answer = one.deliver(step_that(make_and_drop), job=n, saga=f"{n}", instance=n)
            assert answer.outcome is Outcome.EXECUTED

        assert one.available == 6
        one.close()

    def test_what_waited_in_a_transaction_that_was_rolled_back_is_forgotten(
        self, world: World
    ) -> None:
        one = World(world.url, pool_size=-1)
        one.stock()

        def stumble(session: Session) -> None:
            session.connection().info[LINE].wait(NOTHING)
            raise ValueError("a bug")

        with pytest.raises(ValueError, match="a bug"):
            one.deliver(step_that(stumble))

        assert one.deliver(hold_stock, LAMP).outcome is Outcome.EXECUTED
        one.close()

    def test_what_waits_and_fails_leaves_nothing_behind(self, world: World) -> None:
        world.stock()

        def say_nothing(session: Session) -> None:
            session.add(Shelf(sku="chair", available=1))
            session.flush()
            session.connection().info[LINE].wait(NOTHING)

        with pytest.raises(LostRowError):
            world.deliver(step_that(say_nothing))

        world.restock(1)
        with world.store.writing() as connection:
            assert LAMPS.send(connection, {}).rows == [(1,)]
            assert connection.execute(text("SELECT count(*) FROM shelf")).scalar_one() == 1

    def test_a_session_that_was_ended_before_the_commit_is_not_in_doubt(
        self, world: World, postgresql
    ) -> None:
        world.stock()
        ended: list[int] = []

        def end(session: Session) -> None:
            if not ended:
                ended.append(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
                postgresql.execute(f"SELECT pg_terminate_backend({ended[0]}, 5000)")

        assert world.deliver(step_that(end)).outcome is Outcome.EXECUTED
        assert world.states == [(1, State.OPEN)]
        assert world.available == 0
