"""A service's database: opened with the settings that the ledger's promises need."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, Engine, PoolProxiedConnection, Transaction, select
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlmodel import Session

from sagaworks.errors import ConfigurationError, SagaworksError
from sagaworks.ledger import tables
from sagaworks.ledger.databases import database_at
from sagaworks.ledger.databases.database import COMMITS, ENDED, LOST, READS, instead
from sagaworks.ledger.direct import commit_what_waits, look_before_commit
from sagaworks.ledger.faults import (
    CommitUnknownError,
    LostRowError,
    TransactionLostError,
    is_certainly_undone,
    is_denied,
    is_missing_table,
    reason_of,
)
from sagaworks.ledger.session import MAY_NOT_COMMIT

_LOCK_WAIT: Final = timedelta(seconds=5)
"""How long a transaction waits for another, or may stand idle, before the database ends it."""


_VERSION: Final = select(tables.version.c.version, tables.version.c.service)


class Store:
    """One service's database.

    Attributes:
        database: its kind, and what that needs.
        engine: SQLAlchemy's engine, with a pool as large as the worker has threads.
        name: the database without its password, for messages.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 4,
        wait: timedelta | None = None,
        awaits: bool = False,
    ) -> None:
        """Open nothing yet; the first transaction connects.

        Args:
            url: as `<SERVICE>_DATABASE_URL` has it.
            pool_size: how many transactions at once.
            wait: how long one may wait for another, or stand idle; a worker's job lock.
            awaits: used within `sagaworks.ledger.bridge.run` only, and blocks no thread.

        Raises:
            ConfigurationError: the URL is malformed or names a database this version can't use.
        """
        self.database = database_at(url, wait or _LOCK_WAIT)
        self.url = self.database.url
        self.name = self.database.name
        self.engine = self.database.engine(pool_size, awaits=awaits)
        _refuse_early_commits(self.engine)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction; committed at the end, rolled back on any error.

        Raises:
            CommitUnknownError: the COMMIT itself failed and may have taken place.
            TransactionLostError: the server has undone it, and the block didn't say so.
        """
        with self.database.turn, self.engine.connect() as connection:
            self.database.refuse_replaced(self.engine)
            transaction = connection.begin()
            try:
                yield connection
                _refuse_lost(connection)
            except BaseException:
                _roll_back(connection, transaction)
                raise
            _commit(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection in a transaction that can't write, and so waits for no writer."""
        with self.engine.connect() as connection:
            connection.info[READS] = True
            transaction = connection.begin()
            try:
                yield connection
            finally:
                _roll_back(connection, transaction)
                self.database.finish_reading(connection)

    def session(self) -> AbstractContextManager[Session]:
        """Give a session of the service's own, for seeding and for tests; commits at the end."""
        return self._session()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self.writing() as connection, Session(bind=connection) as session:
            yield session
            session.flush()

    def check_version(self, service: str | None = None) -> None:
        """Return if the database is there, durable, and its ledger is this library's.

        Args:
            service: whose database it must be.

        Raises:
            ConfigurationError: one line: what is missing and which command brings it.
        """
        self.database.check_place()
        try:
            with self.reading() as connection:
                self.database.check_promises(connection)
                found = connection.execute(_VERSION).first()
        except (DBAPIError, InvalidRequestError, PoolTimeoutError) as error:
            raise ConfigurationError(self._why_unreadable(error)) from None
        self._check_found(service, *(found or (None, None)))

    def _check_found(self, service: str | None, version: int | None, owner: str | None) -> None:
        if version != tables.LEDGER_VERSION:
            asked = tables.LEDGER_VERSION
            message = f"{self.name}: the ledger is version {version}, this worker needs {asked}"
            raise ConfigurationError(f"{message}; run `sagaworks db upgrade --all`")
        if None not in (service, owner) and service != owner:
            why = f"it is the database of {owner}, not of {service}"
            raise ConfigurationError(f"{self.name}: {why}; see {str(service).upper()}_DATABASE_URL")

    def close(self) -> None:
        """Close the pool's connections."""
        self.engine.dispose()

    def _why_unreadable(self, error: Exception) -> str:
        reason = f"{self.name}: {reason_of(error)}"
        if is_missing_table(error):
            reason = f"{self.name}: has no ledger ({reason_of(error)})"
            return f"{reason}; run `sagaworks db upgrade --all`"
        if is_denied(error):
            return f"{reason}; `sagaworks db upgrade` grants it, with the owner's URL set"
        return reason


def _refuse_lost(connection: Connection) -> None:
    """Refuse to commit the rest of a transaction whose beginning the server has undone."""
    if connection.invalidated:
        return
    if connection.info.get(LOST, False):
        raise TransactionLostError("a deadlock has undone the transaction, and was swallowed")
    look_before_commit(connection)


def _roll_back(connection: Connection, transaction: Transaction) -> None:
    # A flush that failed has rolled it back already; asking twice is a warning.
    if transaction.is_active:
        _roll_back_or_leave(connection)


def _roll_back_or_leave(connection: Connection) -> None:
    try:
        connection.rollback()
    except DBAPIError as error:
        # A server that can't be asked to rolls back by itself; what led here is what is told.
        connection.invalidate(error)
    else:
        _note_end(connection)


def _commit(connection: Connection) -> None:
    try:
        commit_what_waits(connection)
        connection.info[COMMITS] = True
        connection.commit()
    except LostRowError:
        _roll_back_or_leave(connection)
        raise
    except DBAPIError as error:
        _roll_back_or_leave(connection)
        if is_certainly_undone(error):
            raise
        raise CommitUnknownError(reason_of(error)) from error
    _note_end(connection)


def _note_end(connection: Connection) -> None:
    if not connection.invalidated:
        connection.info[ENDED] = True


def _refuse_early_commits(engine: Engine) -> None:
    """Refuse all commits but the store's: a step reaches the connection through its session."""
    commit = engine.dialect.do_commit

    def commit_if_due(lent: PoolProxiedConnection) -> None:
        if not lent.info.pop(COMMITS, False):
            # SQLAlchemy takes the transaction for ended by now, and would lend it on as it is.
            lent.rollback()
            raise SagaworksError(MAY_NOT_COMMIT)
        commit(lent)

    instead(engine, "do_commit", commit_if_due)
