"""MariaDB, through PyMySQL."""

import math
import re
import socket
from datetime import timedelta
from typing import Any, ClassVar, Final

from sqlalchemy import Connection, Engine, PoolProxiedConnection, event, text
from sqlalchemy.engine import URL

from sagaworks.errors import ConfigurationError
from sagaworks.ledger.databases.database import ENDED, Database, send

_OLDEST: Final = (10, 5)
"""The first with INSERT … RETURNING (mariadb.com/kb/en/insertreturning)."""

_CONNECT_SECONDS: Final = 5

_TELLING: Final = frozenset({1062, 1064, 1292, 1366, 1411, 1525})
"""Errors whose text has a value, or a piece of the statement with its values."""

_DEADLOCK: Final = 1213
"""With it InnoDB undoes the whole transaction; the next statement begins another
(mariadb.com/kb/en/innodb-lock-modes)."""

_VALUE: Final = re.compile(r"'.*'(?= for | at line |$)", re.DOTALL)

_DURABLE: Final = {"innodb_flush_log_at_trx_commit": "1", "innodb_doublewrite": "ON"}


class MariaDB(Database):
    """A database of the service's own on a MariaDB server."""

    drivers: ClassVar = ("mariadb+pymysql", "mysql+pymysql")
    awaiting_driver: ClassVar = "mariadb+asyncmy"
    extra: ClassVar = "mariadb"

    def __init__(self, url: URL, wait: timedelta) -> None:
        """Open nothing yet."""
        super().__init__(url, wait)
        # The dialect of this name knows RETURNING, and refuses a MySQL server.
        self.url = self.url.set(drivername="mariadb+pymysql")
        charset = self.url.query.get("charset", "utf8mb4")
        if charset != "utf8mb4":
            raise ConfigurationError(f"{self.name}: charset must be utf8mb4, or left out")

    def options(self, pool_size: int) -> dict[str, Any]:
        """Return what `create_engine` is told."""
        connect = {"charset": "utf8mb4", "connect_timeout": _CONNECT_SECONDS}
        # Given back to the pool, a connection would be rolled back by one more round trip.
        own = {"connect_args": connect, "pool_reset_on_return": None}
        return {**super().options(pool_size), **own}

    def listen(self, engine: Engine) -> None:
        """Prepare the engine's connections, and end what somebody left open."""
        super().listen(engine)
        event.listen(engine, "reset", _roll_back_what_is_open)

    def discreet(self, error: BaseException) -> tuple[object, ...]:
        """Return an error without the value in its text, as in `Duplicate entry 'lamp' for key`."""
        number, *texts = error.args or (None,)
        if number not in _TELLING or not texts:
            return error.args
        return number, _VALUE.sub("…", str(texts[0])), *texts[1:]

    def undoes_all(self, error: BaseException) -> bool:
        """Say whether it's a deadlock."""
        return error.args[:1] == (_DEADLOCK,)

    def prepare(self, connection: Any) -> None:  # noqa: ANN401  a DBAPI connection
        """Set the isolation the ledger decides in, and let the server end what waits or idles."""
        wait, idle = (max(1, math.ceil(t.total_seconds())) for t in (self.wait, self.idle))
        _keep_alive(connection, wait)
        cursor = connection.cursor()
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute(
            # The second is for changes of a table, and a day by default.
            f"SET SESSION innodb_lock_wait_timeout = {wait}, lock_wait_timeout = {wait},"
            f" idle_transaction_timeout = {idle},"
            # What is too long for its column is an error, not cut.
            " sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"
        )
        cursor.close()

    def begin(self, lent: PoolProxiedConnection, *, reads: bool) -> None:
        """Begin a transaction that only reads; a writing one begins with its first statement."""
        if reads:
            send(lent, "START TRANSACTION READ ONLY")

    def check_promises(self, connection: Connection) -> None:
        """Return if a commit survives a crash, and the ledger's tables are as it needs them.

        Raises:
            ConfigurationError: the setting or the table that must change.
        """
        if connection.dialect.server_version_info < _OLDEST:  # type: ignore[operator]
            raise ConfigurationError(f"{self.name}: the ledger needs MariaDB 10.5")
        for name, wanted in _DURABLE.items():
            self._want(name, _setting(connection, name), wanted)
        if _setting(connection, "log_bin") == "ON":
            self._want("sync_binlog", _setting(connection, "sync_binlog"), "1")
        self._check_tables(connection)

    def _want(self, name: str, found: str, wanted: str) -> None:
        if found != wanted:
            why = f"{name} is {found}, a commit may be lost; set it to {wanted}"
            raise ConfigurationError(f"{self.name}: {why}")

    def _check_tables(self, connection: Connection) -> None:
        for table, engine in connection.execute(_ENGINES):
            if engine != "InnoDB":
                why = f"{table} is kept by {engine}, which has no transactions; convert to InnoDB"
                raise ConfigurationError(f"{self.name}: {why}")
        for table, column, collation in connection.execute(_COLLATIONS):
            if collation != "utf8mb4_nopad_bin":
                why = f"{table}.{column} is {collation}, in which two keys may be one"
                raise ConfigurationError(f"{self.name}: {why}; convert to utf8mb4_nopad_bin")


_ENGINES: Final = text(
    "SELECT table_name, engine FROM information_schema.tables"
    " WHERE table_schema = database() AND table_name LIKE 'sagaworks\\_%'"
)

_COLLATIONS: Final = text(
    "SELECT table_name, column_name, collation_name FROM information_schema.columns"
    " WHERE table_schema = database() AND table_name LIKE 'sagaworks\\_%'"
    " AND collation_name IS NOT NULL"
)


def _keep_alive(connection: Any, wait: int) -> None:  # noqa: ANN401  PyMySQL's
    """Have a server that vanished without a word noticed: PyMySQL has no option for it."""
    line: socket.socket | None = getattr(connection, "_sock", None)
    if line is None or line.family not in (socket.AF_INET, socket.AF_INET6):
        return
    often = max(1, wait // 3)
    options = {"TCP_KEEPIDLE": often, "TCP_KEEPINTVL": often, "TCP_KEEPCNT": 2}
    for name, value in {**options, "TCP_USER_TIMEOUT": wait * 1000}.items():
        # What this system doesn't have stays as it is.
        if hasattr(socket, name):
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _setting(connection: Connection, name: str) -> str:
    found = connection.exec_driver_sql(f"SHOW GLOBAL VARIABLES LIKE '{name}'").all()
    return str(found[0][1]) if found else ""


def _roll_back_what_is_open(connection: Any, record: Any, state: Any) -> None:  # noqa: ANN401
    if not (state.terminate_only or record.info.get(ENDED, False)):
        connection.rollback()
