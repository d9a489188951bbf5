"""The ledger's contracts on SQLite, and what is SQLite's own."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from sagaworks import ConfigurationError, SagaworksError, Service
from sagaworks.ledger.answers import Outcome
from sagaworks.ledger.faults import CommitUnknownError, DatabaseUnavailableError
from sagaworks.ledger.group import BrokenGroupError
from sagaworks.ledger.store import Store
from tests.stores.audit import AuditContract
from tests.stores.awaiting import AsyncContract, Awaiting
from tests.stores.faults import FaultContract, step_that
from tests.stores.group import GroupContract, order
from tests.stores.remote import RemoteContract
from tests.stores.settle import SettleContract
from tests.stores.shop import hold_stock
from tests.stores.steps import LAMP, StepContract
from tests.stores.takeover import TakeoverContract
from tests.stores.undo import UndoContract
from tests.stores.versions import VersionContract
from tests.stores.world import World, migrate


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in memory: every commit waits for the disk, and no test pulls the plug."""
    with TemporaryDirectory(dir="/dev/shm", prefix="sagaworks-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def empty_database(folder: Path) -> Path:
    """A migrated database without rows, copied for each test."""
    file = folder / "empty.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def database_url(empty_database: Path) -> Iterator[str]:
    with TemporaryDirectory(dir=empty_database.parent) as own:
        file = shutil.copy(empty_database, Path(own) / "shop.db")
        yield f"sqlite:///{file}"


class TestStepsOnSQLite(StepContract): ...


class TestUndoOnSQLite(UndoContract): ...


class TestVersionsOnSQLite(VersionContract): ...


class TestTakeoverOnSQLite(TakeoverContract): ...


class TestSettleOnSQLite(SettleContract): ...


class TestAuditOnSQLite(AuditContract): ...


class TestRemoteOnSQLite(RemoteContract): ...


class TestFaultsOnSQLite(FaultContract): ...


class TestGroupsOnSQLite(GroupContract): ...


class TestAsyncOnSQLite(AsyncContract): ...


class TestAwaitedStepsOnSQLite(Awaiting, StepContract): ...


class TestAwaitedUndoOnSQLite(Awaiting, UndoContract): ...


class TestAwaitedRemoteOnSQLite(Awaiting, RemoteContract): ...


class TestAwaitedFaultsOnSQLite(Awaiting, FaultContract): ...


# A database that can't do its work.


@pytest.fixture
def impatient_url(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database of a worker that doesn't wait long for another process."""
    monkeypatch.setattr("sagaworks.ledger.store._LOCK_WAIT", timedelta(milliseconds=20))
    monkeypatch.setattr("sagaworks.ledger.protocol._LOCAL_PAUSES", (0.01, 0.01, 0.01))
    return database_url


@contextmanager
def locked(url: str) -> Iterator[sqlite3.Connection]:
    """Hold the database's only write lock, as another process might."""
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def test_a_database_locked_for_long_is_unavailable_and_nothing_is_left(impatient_url: str) -> None:
    world = World(impatient_url)
    world.stock()

    with (
        locked(impatient_url),
        pytest.raises(DatabaseUnavailableError, match=r"^database is locked$"),
    ):
        world.deliver(hold_stock, LAMP)

    assert world.available == 1
    assert world.rows == []
    assert world.deliver(hold_stock, LAMP).outcome is Outcome.EXECUTED
    world.close()


def commit_fails(world: World, error_code: int, *, committed: bool) -> None:
    """Let the next COMMIT fail with SQLite's code, with or without having taken place."""
    dialect = world.store.engine.dialect
    commit = dialect.do_commit

    def fail(connection: object) -> None:
        dialect.do_commit = commit  # type: ignore[method-assign]
        if committed:
            commit(connection)  # type: ignore[arg-type]
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = error_code
        raise error

    dialect.do_commit = fail  # type: ignore[method-assign]


@pytest.mark.parametrize("next_outcome", [Outcome.REPLAYED, Outcome.EXECUTED])
def test_a_commit_whose_end_is_unknown_says_nothing_and_the_next_delivery_sees(
    world: World, next_outcome: Outcome
) -> None:
    committed = next_outcome is Outcome.REPLAYED
    world.stock(count=5)
    commit_fails(world, sqlite3.SQLITE_IOERR_FSYNC, committed=committed)

    with pytest.raises(CommitUnknownError):
        world.deliver(hold_stock, LAMP)

    assert world.deliver(hold_stock, LAMP).outcome is next_outcome
    assert world.available == 4
    assert len(world.rows) == 1


def test_a_commit_that_certainly_failed_is_tried_again(world: World) -> None:
    world.stock(count=5)
    commit_fails(world, sqlite3.SQLITE_FULL, committed=False)

    answer = world.deliver(hold_stock, LAMP)

    assert answer.outcome is Outcome.EXECUTED
    assert world.available == 4


def test_a_commit_that_failed_lets_no_step_commit_by_itself_later(world: World) -> None:
    world.stock(count=5)
    commit_fails(world, sqlite3.SQLITE_IOERR_FSYNC, committed=False)
    with pytest.raises(CommitUnknownError):
        world.deliver(hold_stock, LAMP)

    with pytest.raises(SagaworksError, match="a step can't commit"):
        world.deliver(step_that(lambda session: session.connection().commit()))

    assert world.rows == []


def test_a_groups_commit_whose_end_is_unknown_is_silence_about_all_of_it(world: World) -> None:
    world.stock(count=5)
    commit_fails(world, sqlite3.SQLITE_IOERR_FSYNC, committed=True)

    with pytest.raises(CommitUnknownError):
        world.ledger.run_group(hold_stock, [order(1), order(2)])

    assert world.available == 3
    again = world.ledger.run_group(hold_stock, [order(1), order(2)])
    assert [answer and answer.outcome for answer in again] == [Outcome.REPLAYED] * 2


def test_a_groups_commit_that_certainly_failed_leaves_each_job_to_be_run_alone(
    world: World,
) -> None:
    world.stock(count=5)
    commit_fails(world, sqlite3.SQLITE_FULL, committed=False)

    with pytest.raises(BrokenGroupError):
        world.ledger.run_group(hold_stock, [order(1), order(2)])

    assert world.available == 5
    assert world.rows == []


def test_a_constraint_checked_at_the_commit_is_a_bug_and_not_an_unknown_commit(
    world: World,
) -> None:
    service = Service("shop")
    with world.store.session() as session:
        session.execute(
            text(
                "CREATE TABLE label (shelf TEXT REFERENCES shelf (sku)"
                " DEFERRABLE INITIALLY DEFERRED)"
            )
        )

    @service.step
    def label(session: Session) -> None:
        session.execute(text("INSERT INTO label VALUES ('nowhere')"))

    with pytest.raises(IntegrityError):
        world.deliver(label)

    assert world.rows == []


def test_commits_are_durable_and_readers_wait_for_no_writer(world: World) -> None:
    with world.store.writing() as connection:
        synchronous = connection.execute(text("PRAGMA synchronous")).scalar()
        journal = connection.execute(text("PRAGMA journal_mode")).scalar()

        assert world.rows == []

    full = 2
    assert (synchronous, journal) == (full, "wal")


# A database that isn't as the worker needs it.


def refusal_of(url: str) -> str:
    store = Store(url)
    with pytest.raises(ConfigurationError) as refused:
        store.check_version()
    store.close()
    return str(refused.value)


def test_a_migrated_database_is_accepted(database_url: str) -> None:
    store = Store(database_url)
    store.check_version()
    store.close()


def test_a_missing_file_is_named_and_not_created(tmp_path: Path) -> None:
    said = refusal_of(f"sqlite:///{tmp_path}/shop.db")

    assert said.endswith("shop.db: no such file; run `sagaworks db upgrade --all`")
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_a_ledger_is_named(tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE shelf (sku TEXT)")

    said = refusal_of(f"sqlite:///{file}")

    assert (
        "has no ledger (no such table: sagaworks_version); run `sagaworks db upgrade --all`" in said
    )


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    file.write_text("a letter to a friend, long enough to be a header" * 10)

    assert "file is not a database" in refusal_of(f"sqlite:///{file}")


@pytest.mark.parametrize("version", [0, 2])
def test_a_ledger_of_another_version_is_named(database_url: str, version: int) -> None:
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE sagaworks_version SET version = ?", (version,))
        connection.commit()

    said = refusal_of(database_url)

    assert f"the ledger is version {version}, this worker needs 1" in said


@pytest.mark.parametrize("url", ["oracle://shop:secret@db/shop", "shop.db", ""])
def test_a_url_that_is_none_of_ours_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///") as refused:
        Store(url)

    assert "secret" not in str(refused.value)


def test_a_database_deleted_under_the_worker_takes_nothing_and_is_not_made_anew(
    impatient_url: str,
) -> None:
    """SQLite itself would write on into the deleted file, and lose it all at the next stop."""
    world = World(impatient_url)
    world.stock()
    world.deliver(hold_stock, LAMP)
    path = Path(str(world.store.url.database))
    path.unlink()

    with pytest.raises(DatabaseUnavailableError, match="was deleted"):
        world.deliver(hold_stock, LAMP, saga="order-2", instance=2, job=77)

    assert not path.exists()
    world.close()
