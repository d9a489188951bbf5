"""The databases a service can keep its ledger in: what differs between them, one module each."""

from datetime import timedelta
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from sagaworks.errors import ConfigurationError
from sagaworks.ledger.databases.database import Database
from sagaworks.ledger.databases.mariadb import MariaDB
from sagaworks.ledger.databases.postgresql import PostgreSQL
from sagaworks.ledger.databases.sqlite import SQLite

__all__ = ["Database", "database_at"]

_EXAMPLES: Final = (
    "sqlite:////path/to/inventory.db, postgresql+psycopg://user@host/inventory or"
    " mariadb+pymysql://user@host/inventory"
)

_KINDS: Final[dict[str, type[Database]]] = {
    "sqlite": SQLite,
    "postgresql": PostgreSQL,
    "postgres": PostgreSQL,
    "mariadb": MariaDB,
    # MariaDB answers to it; a MySQL server is refused when it's met.
    "mysql": MariaDB,
}


def database_at(url: str, wait: timedelta) -> Database:
    """Return the kind of database that a URL names; nothing is opened yet.

    Args:
        url: as `<SERVICE>_DATABASE_URL` has it.
        wait: how long a transaction may wait for a lock, or stand idle, before the server ends it.

    Raises:
        ConfigurationError: malformed, or none of ours, or its driver isn't installed.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Not even the library's own words: they would tell the URL, and its password.
        raise ConfigurationError(f"a database URL looks like {_EXAMPLES}") from None
    kind = _KINDS.get(parsed.get_backend_name())
    if kind is None:
        raise ConfigurationError(f"{_name(parsed)}: no such kind of database; use {_EXAMPLES}")
    return kind(parsed, wait)


def _name(url: URL) -> str:
    return url.render_as_string(hide_password=True)
