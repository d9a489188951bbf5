"""What a driver says when its connection or its server fails."""

import sqlite3

import psycopg
import pymysql
from sqlalchemy.exc import OperationalError

_IO_ERROR = 10
"""SQLite's (sqlite.org/rescode)."""

_LOST = 2013
"""MariaDB's: lost connection during query."""


def cut_connection() -> OperationalError:
    """Return what SQLAlchemy raises for a connection that is gone."""
    return OperationalError("", None, ConnectionError("cut"), connection_invalidated=True)


def broken_commit(kind: str) -> Exception:
    """Return a driver's own error that leaves open whether a COMMIT took place."""
    if kind == "postgresql":
        return psycopg.OperationalError("server closed the connection unexpectedly")
    if kind == "mariadb":
        return pymysql.err.OperationalError(_LOST, "Lost connection to MySQL server during query")
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = _IO_ERROR
    return error
