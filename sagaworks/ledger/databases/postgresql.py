"""PostgreSQL, through psycopg 3."""

from datetime import timedelta
from typing import Any, ClassVar, Final

from sqlalchemy import Connection, Engine, PoolProxiedConnection, event

from sagaworks.errors import ConfigurationError
from sagaworks.ledger.databases.database import LINE, Database

_OLDEST: Final = (13,)

_CONNECT_SECONDS: Final = 5

_DATA_ERRORS: Final = "22"
"""The class of errors such as `invalid input syntax for type integer: "four"`."""


class PostgreSQL(Database):
    """A database of the service's own on a PostgreSQL server."""

    drivers: ClassVar = ("postgresql+psycopg",)
    awaiting_driver: ClassVar = "postgresql+psycopg"
    extra: ClassVar = "postgres"

    def options(self, pool_size: int) -> dict[str, Any]:
        """Return what `create_engine` is told."""
        wait = self.wait // timedelta(milliseconds=1)
        reaching = {
            "client_encoding": "utf8",
            "connect_timeout": _CONNECT_SECONDS,
            # A server that vanished without a word is noticed by then.
            "keepalives_idle": max(1, wait // 3000),
            "keepalives_interval": max(1, wait // 3000),
            "keepalives_count": 2,
            "tcp_user_timeout": wait,
        }
        given = {name: value for name, value in reaching.items() if name not in self.url.query}
        # hstore would be looked up in the catalogue at every start.
        return {**super().options(pool_size), "connect_args": given, "use_native_hstore": False}

    def listen(self, engine: Engine) -> None:
        """Prepare the engine's connections, and give each a line, unless it's awaited."""
        super().listen(engine)
        if not engine.dialect.is_async:
            event.listen(engine, "connect", _give_line)

    def discreet(self, error: BaseException) -> tuple[object, ...]:
        """Return an error without its DETAIL, which tells a row, and without a value."""
        text = str(error).partition("\n")[0]
        if (getattr(error, "sqlstate", None) or "").startswith(_DATA_ERRORS):
            text = text.partition(': "')[0]
        return (text,)

    def prepare(self, connection: Any) -> None:  # noqa: ANN401  a DBAPI connection
        """Set the isolation the ledger decides in, and let the server end what waits or idles."""
        wait, idle = (each // timedelta(milliseconds=1) for each in (self.wait, self.idle))
        connection.autocommit = True
        connection.execute(
            "SET default_transaction_isolation = 'read committed';"
            f"SET lock_timeout = {wait};"
            f"SET idle_in_transaction_session_timeout = {idle}"
        )
        connection.autocommit = False

    def begin(self, lent: PoolProxiedConnection, *, reads: bool) -> None:
        """Say how psycopg begins the transaction, with its first statement."""
        if line := lent.info.get(LINE):
            line.forget()
        if reads:
            _psycopg(lent).set_read_only(True)

    def finish_reading(self, connection: Connection) -> None:
        """Let the next transaction write again."""
        lent = _psycopg(connection.connection)
        if lent is not None and not lent.closed:
            lent.set_read_only(None)

    def check_promises(self, connection: Connection) -> None:
        """Return if a commit survives a crash and a failover.

        Raises:
            ConfigurationError: the setting that must change.
        """
        if connection.dialect.server_version_info < _OLDEST:  # type: ignore[operator]
            raise ConfigurationError(f"{self.name}: the ledger needs PostgreSQL {_OLDEST[0]}")
        names = ("fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names")
        asked = ", ".join(f"current_setting('{name}') AS {name}" for name in names)
        found = connection.exec_driver_sql(
            f"SELECT {asked}, current_setting('server_encoding') AS encoding"
        ).one()
        problem = why_undurable(*found[:4])
        if found.encoding != "UTF8":
            problem = f"its encoding is {found.encoding}, create it with ENCODING 'UTF8'"
        if problem:
            raise ConfigurationError(f"{self.name}: {problem}")


def why_undurable(fsync: str, full_page_writes: str, commit: str, standbys: str) -> str | None:
    """Say which setting could lose a commit, in a crash or a failover."""
    for name, value in (("fsync", fsync), ("full_page_writes", full_page_writes)):
        if value != "on":
            return f"{name} is {value}, a commit may be lost; set it to on"
    if commit == "off":
        return "synchronous_commit is off, a commit may be lost; set it to on"
    if commit == "local" and standbys:
        return "synchronous_commit is local, a failover may lose a commit; set it to on"
    return None


def _give_line(connection: Any, record: Any) -> None:  # noqa: ANN401  psycopg's, SQLAlchemy's
    # psycopg may not be installed.
    from sagaworks.ledger import line  # noqa: PLC0415

    if line.works_on(connection):
        record.info[LINE] = line.Line(connection)


def _psycopg(lent: PoolProxiedConnection) -> Any:  # noqa: ANN401  it may not be installed
    return lent.dbapi_connection
