"""The databases of services under test: fresh for each test, of each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import Session, select

from models.inventory import Stock
from sagaworks.ledger.store import Store
from sagaworks.project import Project
from sagaworks.testing.databases import Databases, ServerDatabases, SqliteDatabases
from tests.kit.bench.shop import Sale, till
from workers.inventory import inventory


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """The project's databases on each kind."""
    kind = request.param
    project = Project.load()
    if kind == "sqlite":
        made: Databases = SqliteDatabases(project)
    else:
        made = ServerDatabases(request.getfixturevalue(kind), project)
    yield made
    made.drop()
    made.close()


def articles(url: str) -> list[str]:
    """Which articles a database has, after one more was put in."""
    store = Store(url)
    try:
        with store.session() as session:
            session.add(Stock(sku="lamp", available=1, received=1))
        with store.session() as session:
            return list(session.exec(select(Stock.sku)))
    finally:
        store.close()


def test_each_database_begins_empty_and_takes_the_services_rows(databases: Databases) -> None:
    first, second = databases.fresh(inventory), databases.fresh(inventory)

    assert first != second
    assert (articles(first), articles(second)) == (["lamp"], ["lamp"])


def test_the_ledger_is_there(databases: Databases) -> None:
    store = Store(databases.fresh(inventory))
    try:
        store.check_version()
    finally:
        store.close()


def test_without_migrations_the_tables_are_those_of_sqlmodel(databases: Databases) -> None:
    store = Store(databases.fresh(till))
    try:
        store.check_version()
        with store.session() as session:
            session.add(Sale(article="lamp"))
        with store.session() as session:
            assert _count(session) == 1
    finally:
        store.close()


def _count(session: Session) -> int:
    return len(session.exec(select(Sale)).all())


def test_dropped_sqlite_files_are_gone() -> None:
    databases = SqliteDatabases(None)
    url = databases.fresh(inventory)
    file = Path(url.removeprefix("sqlite:///"))
    assert file.exists()

    databases.drop()

    assert not file.exists()
    databases.close()
    assert not file.parent.exists()
