"""Which database errors mean a broken world, to be tried again, and which mean a mistake."""

from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_SQLITE_WORLD: Final = frozenset({5, 6, 7, 8, 10, 13, 14, 15})
"""SQLite's BUSY LOCKED NOMEM READONLY IOERR FULL CANTOPEN PROTOCOL (sqlite.org/rescode)."""


class CommitUnknownError(Exception):
    """COMMIT failed and nobody knows whether it took place; whoever comes next will see."""


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
    return isinstance(error, OperationalError) and _sqlite_says_so(error)


def is_forbidden_write(error: BaseException) -> bool:
    """Say whether something was to be written in a transaction that only reads."""
    read_only = 8
    return isinstance(error, DBAPIError) and _sqlite_code(error) == read_only


def reason_of(error: BaseException) -> str:
    """Return the database's own words, without the statement and its values."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return str(original).partition("\n")[0]


def _sqlite_says_so(error: DBAPIError) -> bool:
    return _sqlite_code(error) in _SQLITE_WORLD


def _sqlite_code(error: DBAPIError) -> int | None:
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    # The low byte is the primary result code; extended codes add detail above it.
    return None if code is None else code & 0xFF
