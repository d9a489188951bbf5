"""Statements that every job sends: compiled once for each driver, then given to it.

SQLAlchemy's way from a statement to the driver costs more than driver and network together: 0.61 ms
of CPU time for the three of a step, 0.19 ms this way (measured, PostgreSQL). What it makes of the
driver's errors, and what it refuses, stays the same. PostgreSQL has a `sagaworks.ledger.line`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from sagaworks.ledger.databases.database import LINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Dialect, Insert, Select, TextClause, Update
    from sqlalchemy.engine import Compiled

    from sagaworks.ledger.line import Line, Rows, Said

    Statement = Insert | Update | Select[Any] | TextClause

_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came back: the rows, and how many the driver says were hit."""

    rows: Sequence[Sequence[Any]]
    count: int


class Direct:
    """One statement with named values, none of which needs SQLAlchemy to convert it.

    Args:
        names: of the values that an INSERT is given each time.
        hits_one: it fails where it hits no row, by dividing by how many it hits.
    """

    def __init__(
        self, statement: Statement, names: Sequence[str] = (), *, hits_one: bool = False
    ) -> None:
        """Compile nothing yet: each driver has its own words."""
        self._statement = statement
        self._names = names
        self._hits_one = hits_one
        self._by_driver: dict[str, _Ready] = {}
        self._on_line: _OnLine | None = None

    def send(self, connection: Connection, values: Mapping[str, Any]) -> Sent:
        """Send it in the connection's transaction; errors are SQLAlchemy's, as ever."""
        if not _may_go_on(connection):
            # SQLAlchemy begins a transaction, or says what is wrong with this one.
            found = connection.execute(self._statement, values)
            return Sent(found.all() if found.returns_rows else (), found.rowcount)
        if line := _line(connection):
            told = self._send_on(line, connection, values)
            return Sent(told, len(told))
        ready = self._ready(connection.dialect)
        parameters = ready.parameters(values)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(ready.text, parameters)
            rows = cursor.fetchall() if cursor.description else ()
            return Sent(rows, cursor.rowcount)
        except ready.error as error:
            # The one place where a driver's error becomes SQLAlchemy's, and a dead connection is
            # taken out of the pool.
            connection._handle_dbapi_exception(error, ready.text, parameters, cursor, None)  # noqa: SLF001
        finally:
            cursor.close()

    def wait(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Send it with what is sent next, or with the COMMIT, where there is a line; else now."""
        if not self.waits(connection, values):
            self.send(connection, values)

    def waits(self, connection: Connection, values: Mapping[str, Any]) -> bool:
        """Have it sent with what is sent next, or with the COMMIT; False where there is no line."""
        line = _line(connection) if _may_go_on(connection) else None
        if not line:
            return False
        line.wait(self._said(connection, values))
        return True

    def sent_on_line(self, connection: Connection, values: Mapping[str, Any]) -> Rows | None:
        """Send it, and return its rows; None, and nothing is sent, where there is no line."""
        line = _line(connection) if _may_go_on(connection) else None
        return self._send_on(line, connection, values) if line else None

    def _send_on(self, line: Line, connection: Connection, values: Mapping[str, Any]) -> Rows:
        said = self._said(connection, values)
        try:
            return line.send(said)
        except connection.dialect.loaded_dbapi.Error as error:
            connection._handle_dbapi_exception(error, said.text.decode(), (), None, None)  # noqa: SLF001

    def _said(self, connection: Connection, values: Mapping[str, Any]) -> Said:
        if self._on_line is None:
            names = [*self._names] or None
            numbered: Any = type(connection.dialect)
            dialect = numbered(paramstyle="numeric_dollar")
            compiled = self._statement.compile(dialect=dialect, column_keys=names)
            self._on_line = _OnLine(compiled, hits_one=self._hits_one)
        return self._on_line.said(values)

    def _ready(self, dialect: Dialect) -> _Ready:
        ready = self._by_driver.get(f"{dialect.name}+{dialect.driver}")
        if ready is None:
            names = [*self._names] or None
            compiled = self._statement.compile(dialect=dialect, column_keys=names)
            ready = self._by_driver[f"{dialect.name}+{dialect.driver}"] = _Ready(compiled)
        return ready


def look_before_commit(connection: Connection) -> None:
    """Notice what makes a COMMIT useless, as long as that is certain; errors are SQLAlchemy's."""
    try:
        if line := _line(connection):
            line.look()
    except connection.dialect.loaded_dbapi.Error as error:
        connection._handle_dbapi_exception(error, "COMMIT", (), None, None)  # noqa: SLF001


def commit_what_waits(connection: Connection) -> None:
    """Commit in the same round trip as what waits for it; errors are SQLAlchemy's.

    Raises:
        LostRowError: an answer hit no row; nothing was committed.
    """
    try:
        if line := _line(connection):
            line.commit()
    except connection.dialect.loaded_dbapi.Error as error:
        connection._handle_dbapi_exception(error, "COMMIT", (), None, None)  # noqa: SLF001


class _Ready:
    """A statement in one driver's words."""

    def __init__(self, compiled: Compiled) -> None:
        self.text = str(compiled)
        self.error: type[Exception] = compiled.dialect.loaded_dbapi.Error
        self._constants = dict(compiled.params or {})
        self._order: Sequence[str] | None = getattr(compiled, "positiontup", None)

    def parameters(self, values: Mapping[str, Any]) -> Any:  # noqa: ANN401  the driver's: by name or by place
        named = {**self._constants, **values}
        return named if self._order is None else tuple(named[name] for name in self._order)


class _OnLine:
    """A statement in PostgreSQL's own words, values by number."""

    def __init__(self, compiled: Compiled, *, hits_one: bool) -> None:
        # Loaded with the connection's line.
        from sagaworks.ledger.line import Said  # noqa: PLC0415

        self._say = Said
        self._name = b"sagaworks_%d" % next(_NUMBERS)
        self._text = str(compiled).encode()
        self._constants = dict(compiled.params or {})
        self._order: Sequence[str] = compiled.positiontup or ()  # type: ignore[attr-defined]
        self._hits_one = hits_one

    def said(self, values: Mapping[str, Any]) -> Said:
        named = {**self._constants, **values}
        given = [named[name] for name in self._order]
        return self._say(self._name, self._text, given, self._hits_one)


def _line(connection: Connection) -> Line | None:
    found: Line | None = connection.info.get(LINE)
    return found


def _may_go_on(connection: Connection) -> bool:
    """Whether there is a transaction that goes on: a step may have swallowed what ended it."""
    outer, nested = connection.get_transaction(), connection.get_nested_transaction()
    within = nested is None or nested.is_active
    return outer is not None and outer.is_active and within and not connection.invalidated
