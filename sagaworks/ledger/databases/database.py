"""What the ledger asks of a database, whichever it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import (
    Connection,
    Engine,
    ExceptionContext,
    PoolProxiedConnection,
    create_engine,
    event,
)
from sqlalchemy.engine import URL

from sagaworks.errors import ConfigurationError

READS = "sagaworks_reads"
"""In a pooled connection's info: its next transaction only reads."""

COMMITS = "sagaworks_commits"
"""In a pooled connection's info: whoever is to commit its transaction is about to."""

ASYNC = "async"
"""The package's extra that brings the drivers of `async def` steps."""

ENDED = "sagaworks_ended"
"""In a pooled connection's info: its last transaction was committed, or rolled back, for sure."""

LINE = "sagaworks_line"
"""In a pooled connection's info: its `sagaworks.ledger.line.Line`, where it has one."""

LOST = "sagaworks_lost"
"""In a pooled connection's info: the server has undone the transaction by itself."""


class Database:
    """A kind of database, and where one of it is.

    Args:
        url: with the driver's name or without.
        wait: how long a transaction may wait for a lock, or stand idle.

    Attributes:
        drivers: what a URL may name, the usual one first.
        awaiting_driver: what `async def` steps use, whichever the URL names.
        extra: the package's extra that brings the driver.
        idle: how long a transaction may stand idle, where that's not `wait`.
        turn: held while a transaction writes, where the database lets one writer in at a time.

    Raises:
        ConfigurationError: the URL names a driver that the ledger isn't made for.
    """

    drivers: ClassVar[tuple[str, ...]]
    awaiting_driver: ClassVar[str]
    extra: ClassVar[str | None] = None

    def __init__(self, url: URL, wait: timedelta) -> None:
        """Open nothing yet."""
        if "+" not in url.drivername:
            url = url.set(drivername=self.drivers[0])
        self.url = url
        self.name = url.render_as_string(hide_password=True)
        self.wait = wait
        self.idle = wait
        self.turn: AbstractContextManager[Any] = nullcontext()
        if url.drivername not in self.drivers:
            ours = " or ".join(self.drivers)
            raise ConfigurationError(f"{self.name}: the ledger's driver is {ours}")

    def engine(self, pool_size: int, *, awaits: bool = False) -> Engine:
        """Return an engine whose transactions are as the ledger needs them.

        Args:
            pool_size: how many transactions at once.
            awaits: it's used within `sagaworks.ledger.bridge.run` only.

        Raises:
            ConfigurationError: the driver isn't installed.
        """
        # An error's text ends in logs, and a statement's parameters are the saga's variables.
        options = {"hide_parameters": True, **self.options(pool_size)}
        try:
            engine = self.awaiting(options) if awaits else create_engine(self.url, **options)
        except ImportError as error:
            remedy = f"pip install 'sagaworks[{ASYNC if awaits else self.extra}]'"
            missing = error.name or "greenlet"
            raise ConfigurationError(f"{self.name}: {missing} is missing; {remedy}") from None
        self.listen(engine)
        return engine

    def awaiting(self, options: dict[str, Any]) -> Engine:
        """Return the engine for `async def` steps.

        Raises:
            ImportError: the driver isn't installed.
        """
        # Only a service with such steps needs the extra `async`.
        from sagaworks.ledger.bridge import awaiting_engine  # noqa: PLC0415

        return awaiting_engine(self.url.set(drivername=self.awaiting_driver), options)

    def listen(self, engine: Engine) -> None:
        """Prepare the engine's connections, and begin its transactions."""
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "handle_error", self._failed)
        begin = engine.dialect.do_begin

        def begin_as_told(lent: PoolProxiedConnection) -> None:
            self._begins(lent)
            begin(lent)

        instead(engine, "do_begin", begin_as_told)

    def options(self, pool_size: int) -> dict[str, Any]:
        """Return what `create_engine` is told."""
        # Three more than threads: the marks, the metrics and the reconciler have theirs.
        return {
            "pool_size": pool_size + 3,
            "max_overflow": 0,
            # The connection used last has everything prepared, here and at the server.
            "pool_use_lifo": True,
            "pool_timeout": self.wait.total_seconds(),
        }

    def discreet(self, error: BaseException) -> tuple[object, ...]:
        """Return a driver's error's arguments without the values that its text may tell."""
        return error.args

    def prepare(self, connection: Any) -> None:  # noqa: ANN401  a DBAPI connection
        """Set up a new connection; once, not in every transaction."""

    def begin(self, lent: PoolProxiedConnection, *, reads: bool) -> None:
        """Begin a transaction, where the driver doesn't by itself."""

    def undoes_all(self, error: BaseException) -> bool:  # noqa: ARG002  most servers then refuse to go on
        """Say whether the server undoes the whole transaction with a driver's error, and goes on.

        What follows is a transaction of its own then; a step may swallow the error.
        """
        return False

    def finish_reading(self, connection: Connection) -> None:
        """Make a connection that has read able to write again."""

    def check_place(self) -> None:
        """Return if there is a database at the URL, as far as can be told without opening it.

        Raises:
            ConfigurationError: what is missing.
        """

    def check_promises(self, connection: Connection) -> None:
        """Return if what this database commits stays committed.

        Raises:
            ConfigurationError: the setting that must change.
        """

    def refuse_replaced(self, engine: Engine) -> None:
        """Notice that the database isn't the one that was opened.

        Raises:
            DatabaseReplacedError: the next transaction opens what is there now.
        """

    def _connected(self, connection: Any, _record: object) -> None:  # noqa: ANN401
        self.prepare(connection)

    def _failed(self, context: ExceptionContext) -> None:
        if context.connection is not None and self.undoes_all(context.original_exception):
            context.connection.info[LOST] = True
        self._quieten(context)

    def _quieten(self, context: ExceptionContext) -> None:
        error, wrapped = context.original_exception, context.sqlalchemy_exception
        error.args = self.discreet(error)
        if wrapped is not None:
            kind = type(error)
            wrapped.args = (f"({kind.__module__}.{kind.__name__}) {error}", *wrapped.args[1:])

    def _begins(self, lent: PoolProxiedConnection) -> None:
        info = lent.info
        for told in (ENDED, LOST, COMMITS):
            info.pop(told, None)
        self.begin(lent, reads=info.pop(READS, False))


def instead(engine: Engine, turn: str, do: Callable[[PoolProxiedConnection], None]) -> None:
    """Have the engine's dialect `do` something else at a turn of each transaction.

    An engine that anybody listens to has SQLAlchemy look for listeners at every turn of every
    statement too, which is a tenth of the calls that a job takes (measured).
    """
    setattr(engine.dialect, turn, do)


def send(lent: PoolProxiedConnection, statement: str) -> None:
    """Send a statement that nothing comes back of, before the transaction has begun."""
    cursor = lent.cursor()
    try:
        cursor.execute(statement)
    finally:
        cursor.close()
