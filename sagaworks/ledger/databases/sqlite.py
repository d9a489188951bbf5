"""SQLite: a file, which lets one writer in."""

import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine, PoolProxiedConnection, event
from sqlalchemy.engine import URL

from sagaworks.errors import ConfigurationError
from sagaworks.ledger.databases.database import Database, send
from sagaworks.ledger.faults import DatabaseReplacedError


class SQLite(Database):
    """A file of the service's own."""

    drivers: ClassVar = ("sqlite", "sqlite+pysqlite")
    awaiting_driver: ClassVar = "sqlite+aiosqlite"

    def __init__(self, url: URL, wait: timedelta) -> None:
        """Open nothing yet."""
        super().__init__(url, wait)
        self._in_memory = url.database in (None, "", ":memory:")
        self._file: tuple[int, int] | None = None
        # A queue in the process is fair, SQLite's own busy wait isn't.
        self.turn = threading.Lock()

    def options(self, pool_size: int) -> dict[str, Any]:
        """Return what `create_engine` is told."""
        lent = {"connect_args": {"check_same_thread": False}}
        return lent if self._in_memory else {**lent, **super().options(pool_size)}

    def awaiting(self, options: dict[str, Any]) -> Engine:
        """Return the engine for `async def` steps, with a queue that awaits."""
        engine = super().awaiting(options)
        from sagaworks.ledger.bridge import Turn  # noqa: PLC0415

        self.turn = Turn()
        return engine

    def listen(self, engine: Engine) -> None:
        """Prepare the engine's connections, and begin its transactions."""
        super().listen(engine)
        event.listen(engine, "do_connect", self._refuse_to_create)

    def prepare(self, connection: Any) -> None:  # noqa: ANN401  a DBAPI connection
        """Make commits durable, and readers independent of writers."""
        # Python's sqlite3 would begin transactions by itself, deferred, and deadlock on upgrade.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {self.wait // timedelta(milliseconds=1)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        # In WAL mode only FULL makes a commit durable (sqlite.org/pragma.html#pragma_synchronous).
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    def begin(self, lent: PoolProxiedConnection, *, reads: bool) -> None:
        """Begin as the writer, or as a reader that waits for no writer."""
        if reads:
            send(lent, "PRAGMA query_only = ON")
            send(lent, "BEGIN")
        else:
            send(lent, "BEGIN IMMEDIATE")

    def finish_reading(self, connection: Connection) -> None:
        """Undo `query_only`, which outlives the transaction."""
        lent = connection.connection.dbapi_connection
        if lent is not None:
            lent.execute("PRAGMA query_only = OFF")

    def check_place(self) -> None:
        """Return if the file is there.

        Raises:
            ConfigurationError: it isn't.
        """
        if not self._in_memory and not Path(str(self.url.database)).exists():
            raise ConfigurationError(f"{self.name}: no such file; run `sagaworks db upgrade --all`")

    def refuse_replaced(self, engine: Engine) -> None:
        """Notice a file deleted or replaced under us: what is written there is soon lost.

        Raises:
            DatabaseReplacedError: the pool is emptied; the next transaction opens what is there.
        """
        if self._in_memory:
            return
        found = _identity(str(self.url.database))
        if self._file is None:
            self._file = found
        elif found != self._file:
            self._file = found or self._file
            engine.dispose()
            raise DatabaseReplacedError(f"{self.name} was deleted or replaced under the worker")

    def _refuse_to_create(self, *_: object) -> None:
        """SQLite makes an empty file where there is none; a database that was lost stays lost."""
        if self._file is not None and _identity(str(self.url.database)) is None:
            raise DatabaseReplacedError(f"{self.name} was deleted under the worker")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  in every transaction: a Path is slower
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
