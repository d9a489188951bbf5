"""Which database errors mean a broken world, to be tried again, and which mean a mistake."""

from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sagaworks.errors import SagaworksError

Code = int | str

_SQLITE_WORLD: Final = frozenset({5, 6, 7, 8, 10, 13, 14, 15})
"""SQLite's BUSY LOCKED NOMEM READONLY IOERR FULL CANTOPEN PROTOCOL (sqlite.org/rescode)."""

_SQLITE_UNDONE: Final = frozenset({5, 13, 19})
"""BUSY FULL CONSTRAINT: at a COMMIT they leave the transaction open; our rollback undoes it."""

_POSTGRESQL_WORLD: Final = frozenset(
    {
        "25P03",  # idle_in_transaction_session_timeout
        "25006",  # read_only_sql_transaction: a standby, before or after a failover
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "55P03",  # lock_not_available: it waited as long as it may
    }
)
"""Beside whole classes (postgresql.org/docs/current/errcodes-appendix)."""

_POSTGRESQL_WORLDS: Final = (
    "08",  # connection exceptions
    "53",  # insufficient resources: disk full, out of memory, too many connections
    "57P",  # operator intervention: shutdown, crash, starting up, idle too long
    "58",  # system errors: I/O
)

_IDLE_TOO_LONG: Final = "25P03"

_FAILED_TRANSACTION: Final = "25P02"

_MARIADB_WORLD: Final = frozenset(
    {
        1021, 1026, 1114,  # disk full, error writing a file, table full
        1037, 1038, 1041,  # out of memory
        1040, 1203, 1226,  # too many connections: of all, of this user, in this hour
        1044, 1045, 1049, 1129, 1130,  # this user, database or host isn't let in (any more)
        1053, 1077, 1927,  # shutting down, this connection ended
        1030, 1180,  # the storage engine, or its commit, failed
        1205, 1213,  # waited for a lock as long as it may, deadlock
        1290, 1792, 1836,  # read-only: the server, as after a failover
        2002, 2003, 2005, 2006, 2013, 2014, 2055,  # no connection, or it was lost
    }
)  # fmt: skip
"""MariaDB's numbers (mariadb.com/kb/en/mariadb-error-code-reference), and the client's own."""

_MARIADB_UNDONE: Final = frozenset({1213, 1290})
"""At a COMMIT: refused by a cluster's other nodes, by a server that became read-only."""

_DENIED: Final[frozenset[Code]] = frozenset({"42501", 1044, 1142, 1143})

_LOCK_WAIT: Final[frozenset[Code]] = frozenset({5, "55P03", 1205})

_MISSING_TABLE: Final[frozenset[Code]] = frozenset({1, "42P01", "42703", 1146, 1054})
"""SQLite has no code of its own for it, only ERROR."""

_FORBIDDEN_WRITE: Final[frozenset[Code]] = frozenset({8, "25006", 1792})
"""A write in a transaction that only reads."""


class CommitUnknownError(Exception):
    """COMMIT failed and nobody knows whether it took place; whoever comes next will see."""


class TransactionLostError(Exception):
    """The server has undone the transaction by itself, and a step swallowed its error."""


class LostRowError(SagaworksError):
    """Writing an answer hit no row: the claim was rolled back under the step.

    A deadlock that a step swallows does this on MariaDB (measured); everything is rolled back.
    """

    def __init__(self) -> None:
        """Say so; there is nothing more to say."""
        super().__init__("the ledger's row is gone; everything was rolled back")


class DatabaseReplacedError(Exception):
    """The database's file isn't the one that was opened."""


class DatabaseUnavailableError(Exception):
    """The service's database can't do its work now; the job goes back, its retries unchanged."""


def is_broken_world(error: BaseException) -> bool:
    """Say whether the database failed through no fault of the step: lost, locked, full."""
    if isinstance(error, (PoolTimeoutError, DatabaseReplacedError)):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    return _is_of_world(error, _code(error))


def is_forbidden_write(error: BaseException) -> bool:
    """Say whether something was to be written in a transaction that only reads."""
    return isinstance(error, DBAPIError) and _code(error) in _FORBIDDEN_WRITE


def is_missing_table(error: BaseException) -> bool:
    """Say whether a table isn't there, or lacks a column."""
    return isinstance(error, DBAPIError) and _code(error) in _MISSING_TABLE


def is_denied(error: BaseException) -> bool:
    """Say whether the role has no right to do it."""
    return isinstance(error, DBAPIError) and _code(error) in _DENIED


def is_lock_wait(error: BaseException) -> bool:
    """Say whether a statement waited for somebody's lock as long as it may."""
    return isinstance(error, DBAPIError) and _code(error) in _LOCK_WAIT


def is_aftermath(error: BaseException) -> bool:
    """Say whether an earlier error, which the step swallowed, has ended the transaction."""
    if isinstance(error, (PendingRollbackError, TransactionLostError)):
        return True
    return isinstance(error, DBAPIError) and _code(error) == _FAILED_TRANSACTION


def is_certainly_undone(error: DBAPIError) -> bool:
    """Say whether a COMMIT that failed with this can't have taken place."""
    code = _code(error)
    if isinstance(code, str):
        # PostgreSQL answers ERROR only while it can still roll back; later it's FATAL, or silence.
        severity = getattr(getattr(error.orig, "diag", None), "severity_nonlocalized", None)
        answered = severity == "ERROR" and not error.connection_invalidated
        return answered or code == _IDLE_TOO_LONG
    return code in (_SQLITE_UNDONE if _is_sqlite(error) else _MARIADB_UNDONE)


def reason_of(error: BaseException) -> str:
    """Return the database's own words, without the statement and its values."""
    if isinstance(error, PoolTimeoutError):
        return "all connections of the pool are in use; is something holding them?"
    original = error.orig if isinstance(error, DBAPIError) else error
    code = _code(error) if isinstance(error, DBAPIError) else None
    if isinstance(code, int) and not _is_sqlite(error) and len(getattr(original, "args", ())) > 1:
        return str(original.args[1]).partition("\n")[0]  # type: ignore[union-attr]
    return str(original).partition("\n")[0]


def _is_of_world(error: DBAPIError, code: Code | None) -> bool:
    if isinstance(code, str):
        return code in _POSTGRESQL_WORLD or code.startswith(_POSTGRESQL_WORLDS)
    if _is_psycopg(error):
        # A connection that couldn't be opened has no code.
        return isinstance(error, OperationalError)
    return code in (_SQLITE_WORLD if _is_sqlite(error) else _MARIADB_WORLD)


def _code(error: DBAPIError) -> Code | None:
    """Return psycopg's SQLSTATE, SQLite's primary result code or MariaDB's number."""
    if _is_psycopg(error):
        sqlstate: str | None = getattr(error.orig, "sqlstate", None)
        return sqlstate
    if _is_sqlite(error):
        # The low byte is the primary result code; extended codes add detail above it.
        return int(error.orig.sqlite_errorcode) & 0xFF  # type: ignore[union-attr]
    number = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return number if isinstance(number, int) else None


def _is_sqlite(error: BaseException) -> bool:
    return hasattr(getattr(error, "orig", None), "sqlite_errorcode")


def _is_psycopg(error: DBAPIError) -> bool:
    return hasattr(error.orig, "diag")
