"""A service's two roles: the worker's does everything a worker does, and nothing more."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine, delete, text, update
from sqlalchemy.exc import DBAPIError

from sagaworks.audit.mending import mend
from sagaworks.errors import ConfigurationError
from sagaworks.ledger import statements
from sagaworks.ledger.answers import Outcome
from sagaworks.ledger.migration import create_ledger
from sagaworks.ledger.rows import State
from sagaworks.ledger.store import Store
from sagaworks.ledger.tables import ledger, saga
from sagaworks.roles import Access, create_database, grant, on_server
from sagaworks.testing.servers import Server
from tests.stores.audit import BY, books_of, the_one
from tests.stores.settle import Settled
from tests.stores.shop import (
    Table,
    book_shipment,
    cancel_shipment,
    count_stock,
    fresh_carrier,
    hold_stock,
    release_stock,
)
from tests.stores.steps import LAMP
from tests.stores.world import World

_NUMBERS = count(1)


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(request.param)


@pytest.fixture
def access(server: Server) -> Iterator[Access]:
    """The shop's database with its two roles, migrated by the owner."""
    name = f"shop_of_{next(_NUMBERS)}"
    access = create_database(server.admin_url(), name, "owner's pass%word", "worker's \\ secret")
    migrate_as_owner(access)
    yield access
    server.drop_database(name)


@pytest.fixture
def world(access: Access) -> Iterator[World]:
    """A worker, as the runtime role."""
    fresh_carrier()
    world = World(access.runtime_url)
    yield world
    world.close()


def migrate_as_owner(access: Access) -> None:
    store = Store(access.owner_url)
    with store.writing() as connection:
        create_ledger(Operations(MigrationContext.configure(connection)))
        Table.metadata.create_all(connection)
        grant(connection, on_server(access.runtime_url))
    store.close()


@contextmanager
def refused(world: World, words: str) -> Iterator[None]:
    with pytest.raises(DBAPIError) as error:
        yield
    assert re.search(words, str(error.value)), str(error.value)


FORBIDDEN = "denied|must be owner|permission|a saga's key stands"


def test_everything_that_a_worker_does_works(world: World) -> None:
    world.store.check_version()
    world.stock()
    held = world.deliver(hold_stock, LAMP, job=1)
    world.deliver(hold_stock, LAMP, job=1)
    refusal = world.deliver(hold_stock, LAMP, job=2, saga="order-2", instance=2)
    read = world.deliver(count_stock, {"sku": "lamp"})
    undone = world.deliver(release_stock, job=3)
    booked = world.deliver(book_shipment, {"address": "Home 1"}, job=4)
    cancelled = world.deliver(cancel_shipment, job=5)
    world.ledger.mark_counted([held.row or 0, refusal.row or 0])
    world.ledger.report_again(held.row or 0, world.rows[0].job)

    assert [held.outcome, refusal.outcome, read.outcome] == ["executed", "refused", "read"]
    assert [undone.outcome, booked.outcome] == [Outcome.COMPENSATED, Outcome.EXECUTED]
    assert cancelled.outcome is Outcome.COMPENSATED
    assert world.available == 1
    assert world.trail()
    assert world.in_doubt() == 0


def test_everything_that_a_reconciler_does_works(world: World) -> None:
    settled = Settled(world)
    settled.hold(counted=False)
    settled.sweep()
    settled.engine.cancelled(1)
    settled.sweep()
    world.deliver(hold_stock, LAMP, job=12, saga="order-2", instance=2)
    settled.sweep()

    assert world.available == 2
    assert settled.listed == [("hold_stock", "forgotten")]
    assert settled.outcomes == {"counted": 1, "withdrawn": 1, "forgotten": 1}


def test_the_workers_role_may_mend_what_an_audit_found(world: World) -> None:
    settled = Settled(world)
    settled.hold("CANCELED", counted=False)
    books = books_of(settled)

    assert mend(books, the_one(books), BY) == "undone"

    assert world.available == 3


def test_a_starter_may_take_back_its_reservation(world: World) -> None:
    with world.store.writing() as connection:
        statements.lock_saga(connection, "t", "order-9", process_id="place_order")
        connection.execute(delete(saga).where(saga.c.process_instance.is_(None)))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id INTEGER)",
        "DROP TABLE shelf",
        "DROP TABLE sagaworks_ledger",
        "TRUNCATE TABLE shelf",
        "TRUNCATE TABLE sagaworks_ledger",
        "ALTER TABLE sagaworks_ledger ADD COLUMN more INTEGER",
        "DELETE FROM sagaworks_ledger",
        "UPDATE sagaworks_ledger SET tenant = 'mine'",
        "UPDATE sagaworks_ledger SET inputs = 'mine'",
        "UPDATE sagaworks_saga SET saga_key = 'mine'",
        "DELETE FROM sagaworks_audit",
        "UPDATE sagaworks_audit SET who = 'mine'",
        "UPDATE sagaworks_version SET version = 2",
        "DELETE FROM sagaworks_version",
    ],
)
def test_the_workers_role_alters_no_table_and_takes_nothing_back(
    world: World, statement: str
) -> None:
    world.stock()
    world.deliver(hold_stock, LAMP)

    with refused(world, FORBIDDEN), world.store.writing() as connection:
        connection.execute(text(statement))

    assert world.states == [(1, State.OPEN)]


@pytest.mark.parametrize(
    "change",
    [
        {"answer": b"another"},
        {"answer": None},
        {"state": State.CLAIM},
        {"state": State.INTENT, "answer": None},
    ],
)
def test_the_workers_role_can_not_rewrite_an_answer(
    world: World, change: dict[str, object]
) -> None:
    world.stock()
    world.deliver(hold_stock, LAMP)

    with refused(world, "an answer of the ledger stands"), world.store.writing() as connection:
        connection.execute(update(ledger).values(**change))

    assert world.deliver(hold_stock, LAMP).outcome is Outcome.REPLAYED


def test_an_undone_effect_stays_undone(world: World) -> None:
    world.stock()
    world.deliver(hold_stock, LAMP, job=1)
    world.deliver(release_stock, job=2)

    with refused(world, "stands"), world.store.writing() as connection:
        connection.execute(update(ledger).values(state=State.OPEN))


def test_a_saga_that_has_begun_is_not_forgotten(world: World) -> None:
    world.stock()
    world.deliver(hold_stock, LAMP)

    with refused(world, "a saga that has begun stays"), world.store.writing() as connection:
        connection.execute(delete(saga))


def test_the_workers_role_reads_no_other_services_database(server: Server, world: World) -> None:
    other = create_database(server.admin_url(), f"other_{next(_NUMBERS)}", "o", "w")
    migrate_as_owner(other)
    inside = on_server(world.url).set(database=on_server(other.owner_url).database)
    engine = create_engine(inside)

    with pytest.raises(DBAPIError, match=r"(?i)denied"), engine.connect():
        pass

    engine.dispose()
    server.drop_database(str(inside.database))


def test_a_database_made_twice_is_kept_and_takes_the_new_passwords(
    server: Server, access: Access, world: World
) -> None:
    world.stock()
    name = str(on_server(access.owner_url).database)

    again = create_database(server.admin_url(), name, "new owner", "new worker")

    renewed = World(again.runtime_url)
    assert renewed.available == 1
    renewed.close()
    stale = Store(access.runtime_url)
    with pytest.raises(ConfigurationError, match=r"(?i)(denied|authentication failed)"):
        stale.check_version()
    stale.close()


def test_a_url_of_sqlite_has_no_roles() -> None:
    with pytest.raises(ConfigurationError, match="SQLite has no roles"):
        on_server("sqlite:////tmp/shop.db")


@pytest.mark.parametrize("name", ['shop"; DROP', "", "shop'", "a b"])
def test_a_name_that_would_need_quoting_is_refused(server: Server, name: str) -> None:
    with pytest.raises(ConfigurationError):
        create_database(server.admin_url(), name, "a", "b")
