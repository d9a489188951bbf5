"""A service's database: opened with the settings that the ledger's promises need."""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Transaction, create_engine, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlmodel import Session

from sagaworks.errors import ConfigurationError, SagaworksError
from sagaworks.ledger import tables
from sagaworks.ledger.faults import (
    CommitUnknownError,
    DatabaseReplacedError,
    is_broken_world,
    reason_of,
)

_LOCK_WAIT: Final = timedelta(seconds=5)
"""How long a writer waits for another process; then it's told "database is locked"."""


class Store:
    """One service's database.

    Attributes:
        engine: SQLAlchemy's engine, with a pool as large as the worker has threads.
        name: the database without its password, for messages.
    """

    def __init__(self, url: str, *, pool_size: int = 4) -> None:
        """Open nothing yet; the first transaction connects.

        Raises:
            ConfigurationError: the URL is malformed or names a database this version can't use.
        """
        self.url = _sqlite_url(url)
        self.name = self.url.render_as_string(hide_password=True)
        self.engine = _sqlite_engine(self.url, pool_size)
        self._file: tuple[int, int] | None = None
        event.listen(self.engine, "do_connect", self._refuse_to_create)
        # SQLite lets one writer in; a queue in the process is fair, its own busy wait isn't.
        self._turn = threading.Lock()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction; committed at the end, rolled back on any error.

        Raises:
            CommitUnknownError: the COMMIT itself failed and may have taken place.
        """
        with self._turn, self.engine.connect() as connection:
            self._refuse_other_file()
            transaction = connection.begin()
            try:
                with _not_to_be_committed(connection):
                    yield connection
            except BaseException:
                _roll_back(transaction)
                raise
            _commit(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection in a transaction that can't write, and so waits for no writer."""
        with self.engine.connect().execution_options(sagaworks_reads=True) as connection:
            transaction = connection.begin()
            try:
                yield connection
            finally:
                _roll_back(transaction)
                _write_again(connection)

    def session(self) -> AbstractContextManager[Session]:
        """Give a session of the service's own, for seeding and for tests; commits at the end."""
        return self._session()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self.writing() as connection, Session(bind=connection) as session:
            yield session
            session.flush()

    def check_version(self) -> None:
        """Return if the database is there and its ledger is this library's.

        Raises:
            ConfigurationError: one line: what is missing and which command brings it.
        """
        self._check_file()
        try:
            with self.reading() as connection:
                found = connection.execute(select(tables.version.c.version)).scalar()
        except DBAPIError as error:
            raise ConfigurationError(self._why_unreadable(error)) from None
        if found != tables.LEDGER_VERSION:
            asked = tables.LEDGER_VERSION
            message = f"{self.name}: the ledger is version {found}, this worker needs {asked}"
            raise ConfigurationError(f"{message}; run `sagaworks db upgrade --all`")

    def close(self) -> None:
        """Close the pool's connections."""
        self.engine.dispose()

    def _refuse_to_create(self, *_: object) -> None:
        """SQLite makes an empty file where there is none; a database that was lost stays lost."""
        if self._file is not None and _identity(str(self.url.database)) is None:
            raise DatabaseReplacedError(f"{self.name} was deleted under the worker")

    def _refuse_other_file(self) -> None:
        """Notice a file deleted or replaced under us: what is written there is soon lost.

        Raises:
            DatabaseReplacedError: the pool is emptied; the next transaction opens what is there.
        """
        path = self.url.database
        if not path or path == ":memory:":
            return
        found = _identity(path)
        if self._file is None:
            self._file = found
        elif found != self._file:
            self._file = found or self._file
            self.engine.dispose()
            raise DatabaseReplacedError(f"{self.name} was deleted or replaced under the worker")

    def _check_file(self) -> None:
        path = self.url.database
        if path and path != ":memory:" and not Path(path).exists():
            raise ConfigurationError(f"{self.name}: no such file; run `sagaworks db upgrade --all`")

    def _why_unreadable(self, error: DBAPIError) -> str:
        if is_broken_world(error):
            return f"{self.name}: {reason_of(error)}"
        return f"{self.name}: has no ledger ({reason_of(error)}); run `sagaworks db upgrade --all`"


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  in every transaction: a Path is slower
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _roll_back(transaction: Transaction) -> None:
    # A flush that failed has rolled it back already; asking twice is a warning.
    if transaction.is_active:
        transaction.rollback()


def _commit(connection: Connection) -> None:
    try:
        connection.commit()
    except DBAPIError as error:
        connection.rollback()
        if _certainly_undone(error):
            raise
        raise CommitUnknownError(reason_of(error)) from error


def _certainly_undone(error: DBAPIError) -> bool:
    """SQLite keeps a transaction open whose COMMIT was told BUSY, and undoes it at our rollback.

    So it does with a constraint that is checked at the end only.
    """
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    busy, full, constraint = 5, 13, 19
    return code in (busy, full, constraint)


def _sqlite_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        message = "a database URL looks like sqlite:////path/to/inventory.db"
        raise ConfigurationError(message) from None
    if parsed.get_backend_name() != "sqlite":
        name = parsed.render_as_string(hide_password=True)
        message = f"{name}: this version keeps its ledger in SQLite; use sqlite:////path/to/file.db"
        raise ConfigurationError(message)
    return parsed


def _sqlite_engine(url: URL, pool_size: int) -> Engine:
    in_memory = url.database in (None, "", ":memory:")
    options: dict[str, Any] = {} if in_memory else {"pool_size": pool_size + 2, "max_overflow": 0}
    lent = {"check_same_thread": False}
    # An error's text ends in logs, and a statement's parameters are the saga's variables.
    engine = create_engine(url, connect_args=lent, hide_parameters=True, **options)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "commit", _refuse_early_commit)
    return engine


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401  a DBAPI connection
    # Python's sqlite3 would begin transactions by itself, deferred, and deadlock on upgrade.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_LOCK_WAIT // timedelta(milliseconds=1)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # In WAL mode only FULL makes a commit durable (sqlite.org/pragma.html#pragma_synchronous).
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("sagaworks_reads", False):
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _write_again(connection: Connection) -> None:
    """Undo `query_only`, which outlives the transaction, before the pool lends it to a writer."""
    lent = connection.connection.dbapi_connection
    if lent is not None:
        lent.execute("PRAGMA query_only = OFF")


@contextmanager
def _not_to_be_committed(connection: Connection) -> Iterator[None]:
    """Refuse a commit meanwhile: a step reaches the connection through its session."""
    connection.execution_options(sagaworks_may_commit=False)
    yield
    connection.execution_options(sagaworks_may_commit=True)


def _refuse_early_commit(connection: Connection) -> None:
    if not connection.get_execution_options().get("sagaworks_may_commit", True):
        # SQLAlchemy takes the transaction for ended by now, and would lend it on as it is.
        connection.connection.rollback()
        raise SagaworksError("a step can't commit: its effect commits with its ledger row")
