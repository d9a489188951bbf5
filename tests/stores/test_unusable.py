"""A server that can't be used: the worker isn't ready, says why in one line, and recovers."""

import builtins
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlmodel import Session

from sagaworks import Service
from sagaworks.errors import ConfigurationError
from sagaworks.ledger.answers import Outcome
from sagaworks.ledger.databases.postgresql import why_undurable
from sagaworks.ledger.faults import DatabaseUnavailableError
from sagaworks.ledger.store import Store
from sagaworks.roles import create_database
from sagaworks.testing.servers import MariaDB, PostgreSQL, Server
from tests.stores.shop import Parcel, hold_stock
from tests.stores.steps import LAMP
from tests.stores.test_roles import access, migrate_as_owner
from tests.stores.world import World, migrate

_NUMBERS = count(1)

SHORT = timedelta(seconds=1)

SERVERS = ["postgresql", "mariadb"]

assert access  # a fixture


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(request.param)


@contextmanager
def shop_on(server: Server) -> Iterator[str]:
    """Give the URL of a migrated database that a test may spoil."""
    name = f"spoiled_{next(_NUMBERS)}"
    server.create_database(name)
    url = server.admin_url(name)
    migrate(url)
    yield url
    server.drop_database(name)


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    with shop_on(server) as url:
        yield url


def refusal_of(url: str) -> str:
    store = Store(url, wait=SHORT)
    with pytest.raises(ConfigurationError) as refused:
        store.check_version()
    store.close()
    said = str(refused.value)
    assert "\n" not in said
    assert "sqlalche.me" not in said
    password = make_url(url).password
    assert not password or password not in said
    return said


def accepted(url: str) -> None:
    store = Store(url)
    store.check_version()
    store.close()


# What the URL says.


def test_a_wrong_password_is_said(url: str) -> None:
    wrong = make_url(url).set(password="hunter2").render_as_string(hide_password=False)

    said = refusal_of(wrong)

    assert "denied" in said or "authentication failed" in said
    accepted(url)


def test_a_server_that_is_not_there_is_said(url: str) -> None:
    wrong = make_url(url).set(port=9).render_as_string(hide_password=False)

    assert "refused" in refusal_of(wrong)


def test_a_host_that_does_not_exist_is_said(url: str) -> None:
    wrong = make_url(url).set(host="nobody.invalid").render_as_string(hide_password=False)

    assert "nobody.invalid" in refusal_of(wrong)


def test_a_database_that_does_not_exist_is_said(url: str) -> None:
    wrong = make_url(url).set(database="nowhere").render_as_string(hide_password=False)

    assert "nowhere" in refusal_of(wrong)


@pytest.mark.parametrize(
    "url, module, extra",
    [
        ("postgresql://user:hunter2@127.0.0.1/shop", "psycopg", "postgres"),
        ("mariadb://user:hunter2@127.0.0.1/shop", "pymysql", "mariadb"),
    ],
)
def test_a_driver_that_is_not_installed_is_named_with_its_extra(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = builtins.__import__

    def refuse(name: str, *args: object, **named: object) -> object:
        if name == module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return load(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)

    with pytest.raises(ConfigurationError) as refused:
        Store(url)

    assert f"{module} is missing; pip install 'sagaworks[{extra}]'" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url, wanted",
    [
        ("postgresql+asyncpg://user:hunter2@host/shop", "driver is postgresql+psycopg"),
        ("mariadb+mariadbconnector://u:hunter2@host/shop", "driver is mariadb+pymysql"),
        ("mariadb://user:hunter2@host/shop?charset=latin1", "charset must be utf8mb4"),
        ("postgresql://user:hunter2@host:port/shop", "a database URL looks like"),
    ],
)
def test_a_url_that_could_not_work_is_refused(url: str, wanted: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Store(url)

    assert wanted in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_certificate_that_can_not_be_verified_is_said(postgresql: PostgreSQL) -> None:
    with shop_on(postgresql) as url:
        assert "SSL" in refusal_of(f"{url}?sslmode=verify-full")


# What the server is set to.


def test_postgresql_must_write_through() -> None:
    """These are set for a whole server; what asks for them is tried below."""
    assert "fsync is off" in str(why_undurable("off", "on", "on", ""))
    assert "full_page_writes is off" in str(why_undurable("on", "off", "on", ""))


def test_postgresql_must_wait_for_its_commits(postgresql: PostgreSQL) -> None:
    with shop_on(postgresql) as url:
        name = make_url(url).database
        postgresql.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")

        assert "synchronous_commit is off, a commit may be lost; set it to on" in refusal_of(url)

        # Without a standby there is nobody to wait for.
        postgresql.execute(f"ALTER DATABASE {name} SET synchronous_commit = local")
        accepted(url)


def test_postgresql_with_standbys_must_wait_for_them() -> None:
    assert why_undurable("on", "on", "on", "one") is None
    assert why_undurable("on", "on", "remote_apply", "one") is None
    assert "synchronous_commit is local" in str(why_undurable("on", "on", "local", "one"))


def test_mariadb_must_write_through(mariadb: MariaDB) -> None:
    with shop_on(mariadb) as url:
        mariadb.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
        try:
            assert "innodb_flush_log_at_trx_commit is 2, a commit may be lost" in refusal_of(url)
        finally:
            mariadb.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
        accepted(url)


def test_postgresql_must_keep_any_letter(postgresql: PostgreSQL) -> None:
    name = f"spoiled_{next(_NUMBERS)}"
    postgresql.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")

    assert "encoding is LATIN1, create it with ENCODING 'UTF8'" in refusal_of(
        postgresql.admin_url(name)
    )
    postgresql.drop_database(name)


@pytest.mark.parametrize(
    "change, wanted",
    [
        ("sagaworks_ledger ENGINE = MyISAM", "kept by MyISAM, which has no transactions"),
        ("sagaworks_saga ENGINE = Aria", "kept by Aria, which has no transactions"),
        (
            "sagaworks_saga CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
            "is utf8mb4_general_ci, in which two keys may be one",
        ),
        (
            "sagaworks_ledger CONVERT TO CHARACTER SET latin1",
            "in which two keys may be one; convert to utf8mb4_nopad_bin",
        ),
    ],
)
def test_mariadb_must_keep_the_ledgers_tables_as_they_were_made(
    mariadb: MariaDB, change: str, wanted: str
) -> None:
    with shop_on(mariadb) as url:
        mariadb.execute(f"ALTER TABLE {change}", make_url(url).database)

        assert wanted in refusal_of(url)


# What the server can't do now.


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagaworks.ledger.protocol._LOCAL_PAUSES", (0.01, 0.01))


def test_a_server_with_too_many_connections_hands_the_job_back_and_recovers(
    server: Server, access, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    user = make_url(access.runtime_url).username
    limit = {
        "postgresql": f"ALTER ROLE {user} CONNECTION LIMIT 1",
        "mariadb": f"ALTER USER {user} WITH MAX_USER_CONNECTIONS 1",
    }
    server.execute(limit[make_url(access.runtime_url).get_backend_name()])
    first, second = World(access.runtime_url), World(access.runtime_url)
    first.stock()

    with pytest.raises(DatabaseUnavailableError, match=r"too many connections|max_user_conn"):
        second.deliver(hold_stock, LAMP)
    assert "connections" in refusal_of(access.runtime_url)

    first.store.close()
    assert second.deliver(hold_stock, LAMP).outcome is Outcome.EXECUTED
    first.close()
    second.close()


def test_a_pool_that_is_too_small_is_said(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagaworks.ledger.protocol._LOCAL_PAUSES", ())
    world = World(url, pool_size=0, wait=timedelta(milliseconds=200))
    world.stock()

    with ExitStack() as stack:
        for _ in range(world.store.engine.pool.size()):
            stack.enter_context(world.store.engine.connect())
        with pytest.raises(
            DatabaseUnavailableError, match="all connections of the pool are in use"
        ):
            world.deliver(hold_stock, LAMP)

    assert world.deliver(hold_stock, LAMP).outcome is Outcome.EXECUTED
    world.close()


def test_a_server_that_vanishes_under_a_step_hands_the_job_back(
    url: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    world = World(url)
    world.stock()
    service = Service("shop")

    @service.step
    def vanish(session: Session) -> None:
        session.add(Parcel(line="lost"))
        session.flush()
        server.kill()

    with pytest.raises(DatabaseUnavailableError):
        world.deliver(vanish)
    said = refusal_of(url)
    server.start()

    assert "refused" in said
    assert world.rows == []
    assert world.parcels == 0
    assert world.deliver(hold_stock, LAMP).outcome is Outcome.EXECUTED
    world.close()


def test_a_server_that_became_read_only_hands_the_job_back(
    server: Server, access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failover, when the worker still has the old one."""
    impatient(monkeypatch)
    world = World(access.runtime_url)
    world.stock()
    name = make_url(access.runtime_url).database
    on, off = {
        "postgresql": (
            f"ALTER DATABASE {name} SET default_transaction_read_only = on",
            f"ALTER DATABASE {name} RESET default_transaction_read_only",
        ),
        "mariadb": ("SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0"),
    }[make_url(access.runtime_url).get_backend_name()]
    server.execute(on)
    world.store.close()
    try:
        with pytest.raises(DatabaseUnavailableError, match="read-only"):
            world.deliver(hold_stock, LAMP)
    finally:
        server.execute(off)
    world.store.close()

    assert world.deliver(hold_stock, LAMP).outcome is Outcome.EXECUTED
    world.close()


def test_mariadb_that_became_read_only_before_the_commit_has_surely_undone_it(
    mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    name = f"spoiled_{next(_NUMBERS)}"
    access = create_database(mariadb.admin_url(), name, "o", "w")
    migrate_as_owner(access)
    world = World(access.runtime_url)
    world.stock()

    def held() -> bool:
        mariadb.execute("SET GLOBAL read_only = 1")
        return True

    try:
        with pytest.raises(DatabaseUnavailableError, match="read-only"):
            world.deliver(hold_stock, LAMP, held=held)
    finally:
        mariadb.execute("SET GLOBAL read_only = 0")

    assert world.available == 1
    assert world.rows == []
    world.close()
    mariadb.drop_database(name)


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """Give a file system of 16 MB, which only root may mount."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m,mode=1777", "tmpfs", str(place)],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        pytest.skip(f"not run: a small disk can't be mounted here ({made.stderr.strip()})")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_hands_the_job_back_and_recovers(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    impatient(monkeypatch)
    # The server's account must be able to reach it, which it isn't below a test's own folder.
    place = Path(tempfile.mkdtemp(prefix="sagaworks-"))
    place.chmod(0o755)
    with small_disk(place) as disk, shop_on(postgresql) as url:
        name = make_url(url).database
        owner = place_for_the_server(disk)
        postgresql.execute(f"CREATE TABLESPACE small LOCATION '{owner}'")
        postgresql.execute("ALTER TABLE parcel SET TABLESPACE small", name)
        world = World(url)
        world.stock()
        step = Service("shop").step(pack_much)

        with pytest.raises(DatabaseUnavailableError, match="No space left"):
            world.deliver(step)
        assert world.parcels == 0
        assert world.rows == []

        postgresql.execute("ALTER TABLE parcel SET TABLESPACE pg_default", name)
        assert world.deliver(step).outcome is Outcome.EXECUTED
        world.close()
        postgresql.execute("DROP TABLESPACE small")
    place.rmdir()


def pack_much(session: Session) -> None:
    """Fill 16 MB and more."""
    session.add_all(Parcel(line="x" * 64) for _ in range(10))
    session.flush()
    for _ in range(15):
        session.connection().exec_driver_sql("INSERT INTO parcel (line) SELECT line FROM parcel")


def place_for_the_server(disk: Path) -> Path:
    """Make a folder that the server's account owns."""
    own = disk / "data"
    own.mkdir()
    try:
        account = pwd.getpwnam("postgres")
    except KeyError:
        return own
    own.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(own, account.pw_uid, account.pw_gid)
    return own
