"""The line to PostgreSQL: prepared statements over psycopg's libpq, several in one round trip.

A statement through psycopg's cursor takes four times the CPU time that libpq takes, and BEGIN,
SAVEPOINT, an answer and COMMIT would each be a round trip of their own: docs/decisions/0038.
"""

import re
import select
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection, Pipeline, pq
from psycopg._preparing import Prepare, PrepareManager
from psycopg.errors import DataError, DivisionByZero, Error, OperationalError, error_from_result
from psycopg.pq.abc import PGconn, PGresult

from sagaworks.ledger.faults import LostRowError

Value = str | int | bytes | None

Rows = list[tuple[Any, ...]]

Encoded = tuple[list[bytes | None], list[int]]

_INTEGERS: Final = frozenset({20, 21, 23})
"""The types int8, int2 and int4 (pg_type.dat); all else that the ledger asks for is text."""

_REPLACED: Final = re.compile(rb"^(?:DROP|ALTER|DISCARD ALL|DEALLOCATE ALL)\b").match

_FAILED: Final = pq.ExecStatus.FATAL_ERROR


@dataclass(frozen=True, slots=True)
class Said:
    """A statement, which each connection prepares once, and its values in their order.

    Attributes:
        hits_one: dividing by the rows that it hits, it fails where there is none.
    """

    name: bytes
    text: bytes
    values: Sequence[Value] = ()
    hits_one: bool = False


_BEGIN: Final = Said(b"sagaworks_begin", b"BEGIN")
_COMMIT: Final = Said(b"sagaworks_commit", b"COMMIT")


def works_on(connection: Connection[Any]) -> bool:
    """Say whether this libpq has pipelines, and the URL doesn't forbid prepared statements."""
    return Pipeline.is_supported() and connection.prepare_threshold is not None


class Line:
    """One connection's line.

    What waits is sent before whatever comes next, in the same round trip, and takes effect in the
    order in which it was said.
    """

    def __init__(self, connection: Connection[Any]) -> None:
        """Use a connection that nobody else uses at the same time."""
        self._pgconn: PGconn = connection.pgconn
        self._waiting: list[Said] = []
        self._prepared: set[bytes] = set()
        connection._prepared = _Kept(self._prepared)  # noqa: SLF001  there is no public way

    def wait(self, said: Said) -> None:
        """Have a statement wait, whose rows are of no interest."""
        self._waiting.append(said)

    def forget(self) -> None:
        """Drop what waits: its transaction is over."""
        self._waiting.clear()

    def send(self, said: Said) -> Rows:
        """Send a statement after what waits; a transaction begins if there is none.

        Raises:
            LostRowError: a statement that was to hit a row hit none.
            psycopg.Error: one of them failed.
        """
        begins = self._pgconn.transaction_status == pq.TransactionStatus.IDLE
        return self._together([*((_BEGIN,) if begins else ()), *self._taken(), said])

    def look(self) -> None:
        """Notice that the server has ended the session, which a COMMIT couldn't tell for sure.

        Raises:
            psycopg.OperationalError: it has, and the transaction is undone.
        """
        while self._waiting and _ready(self._pgconn, within_ms=0):
            self._pgconn.consume_input()
            self._pgconn.is_busy()

    def commit(self) -> None:
        """Send what waits, if anything does, and then COMMIT, which needs all of it to work.

        Raises:
            LostRowError, psycopg.Error: as `send`.
        """
        if self._waiting:
            self._together([*self._taken(), _COMMIT])

    def _taken(self) -> list[Said]:
        taken, self._waiting = self._waiting, []
        return taken

    def _together(self, batch: Sequence[Said]) -> Rows:
        # First of all: a value that can't be sent is no trouble of the connection's.
        values = [_encoded(said.values) for said in batch]
        try:
            self._pgconn.enter_pipeline_mode()
            sent = self._sent(zip(batch, values, strict=True))
            self._pgconn.pipeline_sync()
            results = self._results()
            if self._pgconn.status is not pq.ConnStatus.BAD:
                self._pgconn.exit_pipeline_mode()
        except BaseException:
            # What is under way can't be told from what comes next: the connection is done with.
            self._pgconn.finish()
            raise
        self._check(sent, results)
        return _rows_of(results[-1])

    def _sent(self, batch: Iterable[tuple[Said, Encoded]]) -> list[tuple[Said, bool]]:
        """Send each statement; tell what a result is expected of, and if it's of a preparation."""
        sent = []
        fresh = set()
        for said, values in batch:
            if said.name not in self._prepared and said.name not in fresh:
                fresh.add(said.name)
                self._pgconn.send_prepare(said.name, said.text)
                sent.append((said, True))
            self._pgconn.send_query_prepared(said.name, *values)
            sent.append((said, False))
        return sent

    def _results(self) -> list[PGresult]:
        """Return the results up to where it ends; those after a failed one say so."""
        found: list[PGresult] = []
        try:
            while (result := self._next()).status != pq.ExecStatus.PIPELINE_SYNC:
                found.append(result)
        except OperationalError:
            # The server may have said why before it hung up.
            if not found or found[-1].status != _FAILED:
                raise
        return found

    def _next(self) -> PGresult:
        pgconn = self._pgconn
        while True:
            if (unsent := pgconn.flush()) or pgconn.is_busy():
                # The interpreter's lock is let go meanwhile.
                _ready(pgconn, writes=bool(unsent))
                pgconn.consume_input()
            elif result := pgconn.get_result():
                return result
            elif pgconn.status is pq.ConnStatus.BAD:
                raise OperationalError("the connection is lost")

    def _check(self, sent: Iterable[tuple[Said, bool]], results: Iterable[PGresult]) -> None:
        for (said, prepares), result in zip(sent, results, strict=False):
            if result.status == _FAILED:
                raise _error_of(said, result)
            if prepares:
                self._prepared.add(said.name)


class _Kept(PrepareManager):
    """psycopg's memory of prepared statements, which here outlives a ROLLBACK.

    psycopg deallocates all of them with each, lest a table that was made anew within the
    transaction be mistaken for the former one. Steps refuse often, and make no tables.
    """

    def __init__(self, ours: set[bytes]) -> None:
        super().__init__()
        self._ours = ours

    def clear(self) -> bool:
        """Forget nothing: psycopg says so after a ROLLBACK."""
        return False

    def _should_discard(self, prep: Prepare, results: Sequence[PGresult], *_: object) -> bool:
        replaced = any(_REPLACED(result.command_status or b"") for result in results)
        if not (replaced and (self._names or prep is Prepare.SHOULD)):
            return False
        # They are deallocated by the server with psycopg's own.
        self._ours.clear()
        return super().clear()


def _ready(pgconn: PGconn, *, writes: bool = False, within_ms: int | None = None) -> bool:
    socket = select.poll()
    socket.register(pgconn.socket, select.POLLIN | (select.POLLOUT if writes else 0))
    return bool(socket.poll(within_ms))


def _encoded(values: Sequence[Value]) -> Encoded:
    """Return values and their formats as PostgreSQL reads them: 1 for bytes as they are.

    Raises:
        psycopg.DataError: a text holds a NUL, at which libpq would cut it off.
    """
    encoded: list[bytes | None] = []
    for value in values:
        if value is None or isinstance(value, bytes):
            encoded.append(value)
            continue
        text = str(value).encode()
        if b"\0" in text:
            raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        encoded.append(text)
    return encoded, [int(isinstance(value, bytes)) for value in values]


def _rows_of(result: PGresult) -> Rows:
    reads = [
        int if result.ftype(place) in _INTEGERS else bytes.decode for place in range(result.nfields)
    ]
    rows = []
    for row in range(result.ntuples):
        values: list[int | str | None] = []
        for place, read in enumerate(reads):
            found = result.get_value(row, place)
            values.append(None if found is None else read(found))
        rows.append(tuple(values))
    return rows


def _error_of(said: Said, result: PGresult) -> Error | LostRowError:
    error = error_from_result(result)
    return LostRowError() if said.hits_one and isinstance(error, DivisionByZero) else error
