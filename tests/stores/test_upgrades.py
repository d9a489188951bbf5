"""Migrations on servers: by the owner, one at a time, and half a revision is named."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlmodel import SQLModel

from models import inventory, orders, payments, shipping
from sagaworks.errors import ConfigurationError
from sagaworks.ledger.store import Store
from sagaworks.migrate import upgrade
from sagaworks.project import Project
from sagaworks.roles import Access, create_database
from sagaworks.settings import Settings
from sagaworks.testing.servers import Server

SERVICES = {"orders": orders, "inventory": inventory, "payments": payments, "shipping": shipping}

_NUMBERS = count(1)

REVISION = '''"""A change."""

from alembic import op

revision = "{id}"
down_revision = {after!r}


def upgrade() -> None:
    op.execute("CREATE TABLE t{id} (id INTEGER)")
{more}
'''

LEDGER = "    from sagaworks.ledger.migration import create_ledger\n    create_ledger(op)\n"


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(request.param)


@pytest.fixture
def access(server: Server) -> Iterator[Access]:
    """An empty database with its two roles."""
    name = f"stock_{next(_NUMBERS)}"
    yield create_database(server.admin_url(), name, "owner", "worker")
    server.drop_database(name)


def settings_of(service: str, access: Access) -> Settings:
    name = service.upper()
    return Settings.load(
        {f"{name}_OWNER_URL": access.owner_url, f"{name}_DATABASE_URL": access.runtime_url}
    )


@pytest.fixture
def settings(access: Access) -> Settings:
    return settings_of("stock", access)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "migrations" / "stock").mkdir(parents=True)
    return Project(tmp_path, ("shop.stock:stock",), migrations="migrations/{service}")


def write(project: Project, id_: str, after: str | None = None, more: str = "") -> None:
    file = project.migrations_folder("stock") / f"{id_}_change.py"
    file.write_text(REVISION.format(id=id_, after=after, more=more))


def tables(access: Access) -> set[str]:
    engine = create_engine(access.owner_url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


@pytest.mark.parametrize("service", SERVICES)
def test_a_reference_service_is_migrated_by_its_owner_and_used_by_its_worker(
    service: str, access: Access
) -> None:
    settings = settings_of(service, access)

    assert upgrade(service, settings, Project.load()) == ["0001"]
    assert upgrade(service, settings, Project.load()) == []

    store = Store(access.runtime_url)
    store.check_version(service)
    models = {
        model.__table__
        for model in vars(SERVICES[service]).values()
        if isinstance(model, type) and issubclass(model, SQLModel) and hasattr(model, "__table__")
    }
    with store.writing() as connection:
        found = inspect(connection)
        for table in models:
            connection.execute(table.select())
            columns = {
                column["name"]: column["nullable"] for column in found.get_columns(table.name)
            }
            assert columns == {column.name: column.nullable for column in table.columns}
    store.close()


def test_an_amount_comes_back_exact(access: Access) -> None:
    settings = settings_of("payments", access)
    upgrade("payments", settings, Project.load())
    store = Store(access.runtime_url)

    with store.session() as session:
        card = payments.Card(number="1", balance="123456789012.34", opened_with="0.10")
        session.add(card)
    with store.session() as session:
        found = session.get_one(payments.Card, "1")
        assert (str(found.balance), str(found.opened_with)) == ("123456789012.34", "0.10")
    store.close()


def test_two_upgrades_at_once_apply_each_revision_once(
    settings: Settings, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nothing:
        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    # As in two processes, which don't share the lock.
    monkeypatch.setattr("sagaworks.migrate._ONE_AT_A_TIME", Nothing())
    slow = "    import time\n    time.sleep(0.5)\n"
    write(project, "0001", more=slow + LEDGER)

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(lambda _: upgrade("stock", settings, project), range(2)))

    assert sorted(done) == [[], ["0001"]]


def test_a_revision_that_fails_half_way_leaves_nothing_or_is_named(
    settings: Settings, project: Project, access: Access, server: Server
) -> None:
    write(project, "0001", more=LEDGER)
    write(project, "0002", after="0001", more="    raise ValueError('half way')\n")

    with pytest.raises(ConfigurationError, match=r"0002_change\.py:11: ValueError") as refused:
        upgrade("stock", settings, project)

    assert "\n" not in str(refused.value)
    if server.driver.startswith("mariadb"):
        assert "MariaDB keeps what the revision did before that line" in str(refused.value)
        assert {"t0001", "t0002"} <= tables(access)
        server.execute(f"DROP TABLE {access.owner_url.rpartition('/')[2]}.t0002")
    else:
        assert not {"t0001", "t0002"} & tables(access)
    write(project, "0002", after="0001")
    assert upgrade("stock", settings, project)[-1] == "0002"


def test_the_database_of_another_service_is_left_alone(
    settings: Settings, project: Project, access: Access
) -> None:
    write(project, "0001", more=LEDGER)
    upgrade("stock", settings, project)
    (project.root / "migrations" / "stock").rename(project.root / "migrations" / "orders")
    other = settings_of("orders", access)

    with pytest.raises(ConfigurationError, match="it is the database of stock, not of orders"):
        upgrade("orders", other, project)

    store = Store(access.runtime_url)
    with pytest.raises(ConfigurationError, match=r"of stock, not of orders; see ORDERS_DATABASE"):
        store.check_version("orders")
    store.close()


def test_a_worker_whose_upgrade_is_due_says_so(access: Access) -> None:
    store = Store(access.runtime_url)

    with pytest.raises(ConfigurationError, match=r"(has no ledger|denied).*`sagaworks db upgrade"):
        store.check_version()

    store.close()


def test_tables_that_came_later_are_granted_too(
    settings: Settings, project: Project, access: Access
) -> None:
    write(project, "0001", more=LEDGER)
    upgrade("stock", settings, project)
    write(project, "0002", after="0001")
    upgrade("stock", settings, project)
    store = Store(access.runtime_url)

    with store.writing() as connection:
        connection.execute(text("INSERT INTO t0002 VALUES (1)"))

    store.close()


def test_a_busy_table_is_said(
    settings: Settings,
    project: Project,
    access: Access,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(project, "0001", more=LEDGER)
    upgrade("stock", settings, project)
    write(
        project, "0002", after="0001", more="    op.execute('ALTER TABLE t0001 ADD COLUMN n INT')\n"
    )
    monkeypatch.setattr("sagaworks.migrate._LOCK_WAIT", timedelta(seconds=1))
    engine = create_engine(access.owner_url)

    with engine.connect() as busy:
        busy.execute(text("SELECT * FROM t0001")).all()
        with pytest.raises(ConfigurationError, match="its database is locked"):
            upgrade("stock", settings, project)

    engine.dispose()
