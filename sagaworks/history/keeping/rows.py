"""Between slim records and their rows."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert

from sagaworks.history import records
from sagaworks.history.keeping import tables
from sagaworks.history.values import ENDED
from sagaworks.saga import LONGEST_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Dialect

    from sagaworks.history.records import Record


_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

Row = tuple[object, ...]
"""A record's values in the order of `COLUMNS`."""

COLUMNS: Final = tuple(column.name for column in tables.record.columns)

_c: Final = tables.record.c
READ: Final = (_c.life, _c.partition, _c.position, _c.at, _c.type, _c.intent, _c.key, _c.value)
"""What is read of a row again, in the order in which `record_of` takes it."""


def add(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert rows, straight by the driver: SQLAlchemy's own way costs as much as all else."""
    text, by_name = _inserting(connection.dialect)
    values: Any = [dict(zip(COLUMNS, row, strict=True)) for row in rows] if by_name else [*rows]
    connection.exec_driver_sql(text, values)


@cache
def _inserting(dialect: Dialect) -> tuple[str, bool]:
    """Return the statement in a driver's words, and whether it names its values."""
    compiled = insert(tables.record).compile(dialect=dialect, column_keys=[*COLUMNS])
    order: Sequence[str] | None = getattr(compiled, "positiontup", None)
    if order is not None and tuple(order) != COLUMNS:
        raise AssertionError(order)
    return str(compiled), order is None


def row_of(kept: Record, life: int) -> Row:
    """Return the row of a record as `records.kept` left it.

    Raises:
        ValueError: it couldn't be read again; says why, without values.
    """
    records.check(kept)
    value = kept["value"]
    text = _encode(value)
    if not text.isascii():
        text.encode()  # half a character is none that a database takes
    is_instance = value.get("bpmnElementType") == "PROCESS"
    return (
        kept["partitionId"],
        kept["position"],
        life,
        kept["timestamp"],
        kept["valueType"],
        kept["intent"],
        kept["key"],
        value.get("processInstanceKey"),
        _named(kept),
        _business_key(kept),
        True if is_instance and kept["intent"] in ENDED else None,
        text,
    )


def record_of(row: Sequence[Any], parse: Callable[[str], Any] = json.loads) -> Record:
    """Return the record that a row keeps, as `READ` has it."""
    _, partition, position, at, type_, intent, key, value = row
    return {
        "partitionId": partition,
        "position": position,
        "timestamp": at,
        "recordType": "EVENT",
        "valueType": type_,
        "intent": intent,
        "key": key,
        "value": parse(value),
    }


def _named(kept: Record) -> int | None:
    match kept["valueType"]:
        case "JOB" | "PROCESS":
            key: int = kept["key"]
            return key
        case "COMPENSATION_SUBSCRIPTION":
            handler: int | None = kept["value"].get("compensationHandlerInstanceKey")
            return handler
    return None


def _business_key(kept: Record) -> str | None:
    if kept["valueType"] != "VARIABLE":
        return None
    named = records.read_business_key(kept)
    # A longer one is nobody's: no ledger takes it.
    return named[1] if named and len(named[1]) <= LONGEST_KEY else None
