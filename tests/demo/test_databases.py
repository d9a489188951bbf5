"""Which service is on which database, and who may do what there."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from demo.command import _databases, _parser, main
from demo.databases import PLACES, Databases, Servers
from demo.home import Home
from sagaworks.migrate import upgrade
from sagaworks.project import Project
from sagaworks.settings import Settings
from sagaworks.testing.servers import MariaDB, PostgreSQL, ServersUnavailableError

ROWS = {
    "orders": ("orders", "('order-1', 'accepted', 'lamp', 1, 1990)"),
    "payments": ("card", "('card-1', 100, 100, false, false)"),
    "inventory": ("stock", "('lamp', 1, 0, 0, 1)"),
    "flights": ("flight", "('SG-100', 1, 1, 0, 0)"),
    "hotels": ("hotel", "('Sea View', 1, 1, 0, 0)"),
}


@pytest.fixture(scope="module")
def servers(postgresql, mariadb, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The demo's own; the session's are there to find out whether they can be had."""
    folder = tmp_path_factory.mktemp("demo")
    own = Servers(folder / "servers", Settings.load({}).engine_cache, lambda _: None)
    try:
        own.start()
        yield own
    finally:
        own.stop()


def execute(url: str, *statements: str) -> None:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.parametrize("service", PLACES)
def test_an_owner_makes_tables_and_a_worker_only_fills_them(servers: Servers, service: str) -> None:
    urls = servers.urls()
    worker = urls[f"{service.upper()}_DATABASE_URL"]
    project = Project.load()
    upgrade(service, Settings.load(urls, project), project)
    table, row = ROWS[service]
    filled = f"INSERT INTO {table} VALUES {row}", f"DELETE FROM {table}"  # noqa: S608  our own

    execute(worker, *filled)

    for forbidden in (f"DROP TABLE {table}", "CREATE TABLE mine (number INTEGER)"):
        with pytest.raises(DBAPIError):
            execute(worker, forbidden)


def test_no_service_reads_another_ones_database(servers: Servers) -> None:
    urls = servers.urls()
    stranger = urls["ORDERS_DATABASE_URL"].rpartition("/")[0]

    with pytest.raises(DBAPIError):
        execute(f"{stranger}/payments", "SELECT 1")


def test_passwords_are_the_users_own(servers: Servers) -> None:
    secrets = [
        servers.folder / "passwords.json",
        servers.folder / "postgresql" / "password",
        servers.folder / "mariadb" / "password",
    ]

    assert {file.stat().st_mode & 0o777 for file in secrets} == {0o600}


def test_three_kinds_of_database_are_seen() -> None:
    assert {PLACES[service] for service in ("orders", "payments")} == {PostgreSQL}
    assert PLACES["inventory"] is MariaDB
    assert "shipping" not in PLACES


@pytest.mark.parametrize(
    "asked, on_servers, expected",
    [
        (None, False, "sqlite"),
        (None, True, "servers"),
        ("servers", True, "servers"),
        ("sqlite", False, "sqlite"),
    ],
)
def test_up_goes_on_with_the_data_that_is_there(
    tmp_path: Path, *, asked: str | None, on_servers: bool, expected: str
) -> None:
    home = kept_home(tmp_path, on_servers=on_servers)

    assert _databases(home, "up", asked) == expected


def test_up_on_other_databases_than_the_data_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = kept_home(tmp_path, on_servers=False)

    code = main(["up", "--db", "servers", "--data", str(home.folder)])

    assert code == 1
    assert capsys.readouterr().err == (
        f"demo: the data in {home.folder} is on sqlite: "
        "run the demo with --db servers once, or leave --db out\n"
    )


def kept_home(folder: Path, *, on_servers: bool) -> Home:
    home = Home(folder / "demo")
    home.clear()
    home.seeded.touch()
    if on_servers:
        home.servers.mkdir()
    return home


def test_a_run_begins_afresh_on_sqlite_unless_asked(tmp_path: Path) -> None:
    assert _databases(kept_home(tmp_path, on_servers=True), "run", None) is Databases.SQLITE


def test_another_kind_is_a_mistake_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _parser().parse_args(["--db", "oracle"])

    assert ended.value.code == 2
    assert "'oracle' (choose from 'sqlite', 'servers')" in capsys.readouterr().err


def test_where_no_server_can_be_had_the_demo_says_so_and_ends_with_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(*_: object) -> argparse.Namespace:
        raise ServersUnavailableError("no PostgreSQL on this machine: install it")

    monkeypatch.setattr("sagaworks.testing.servers.server.programs", none)
    monkeypatch.setattr("demo.system.System._engine", lambda *_, **__: None)

    code = main(["--db", "servers", "--orders", "1", "--data", str(tmp_path / "demo")])

    assert code == 4
    assert capsys.readouterr().err == "demo: no PostgreSQL on this machine: install it\n"
