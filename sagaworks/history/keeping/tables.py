"""The tables of a kept history: a log of slim records, and how far each partition has come."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
)

from sagaworks.saga import LONGEST_KEY

HISTORY_VERSION: Final = 1
"""What is compared at the start; a change of the tables below raises it."""

metadata = MetaData()

version = Table(
    "history_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

record = Table(
    "history_record",
    metadata,
    # In this order each new record goes to the end of the table.
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("life", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("type", String(40), nullable=False),
    Column("intent", String(40), nullable=False),
    Column("key", BigInteger, nullable=False),
    Column("instance", BigInteger),
    # By what it's looked up beside its instance: a job, a handler's instance, a definition.
    Column("named", BigInteger),
    Column("business_key", String(LONGEST_KEY)),
    # Of a process instance's last record.
    Column("ends", Boolean),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)


def _partial(name: str, column: Column[Any], where: ColumnElement[bool]) -> Index:
    """Return an index that holds a few records of a saga only."""
    return Index(name, column, sqlite_where=where, postgresql_where=where)


Index("history_instance", record.c.instance)
for _column in (record.c.named, record.c.business_key):
    _partial(f"history_{_column.name}", _column, _column.is_not(None))
_partial("history_ended", record.c.at, record.c.ends.is_not(None))

# Written as the index says it, or SQLite doesn't use the index.
is_to_come = record.c.intent.in_([literal_column("'FAILED'"), literal_column("'TIMEOUT_UPDATED'")])
to_come = _partial("history_to_come", record.c.named, is_to_come)

# The records of the process itself, and of the variable with its business key: 4 in 30, and what
# each service's reconciler asks for of each saga.
is_of_itself = (record.c.key == record.c.instance) | (record.c.type == literal_column("'VARIABLE'"))
_SQLITES: Final = Index(
    "history_of_itself",
    record.c.instance,
    # With all that is read of them: else SQLite looks for them among the 30.
    *(record.c[name] for name in ("partition", "position", "life", "at", "type", "intent", "key")),
    record.c.value,
    sqlite_where=is_of_itself,
).ddl_if(dialect="sqlite")
_POSTGRESQLS: Final = Index(
    # PostgreSQL takes no entry of more than 2,700 bytes.
    "history_of_itself",
    record.c.instance,
    postgresql_where=is_of_itself,
).ddl_if(dialect="postgresql")

later_indexes = (to_come, _SQLITES, _POSTGRESQLS)
"""Those that aren't there where the tables are older."""

# What couldn't be read: from where to where, of which instance (0: it doesn't say).
unread = Table(
    "history_unread",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("life", Integer, primary_key=True, autoincrement=False),
    Column("instance", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    # Of the first of them: when it came, what is wrong with it, and it itself less its variables.
    Column("at", BigInteger, nullable=False),
    Column("why", String(200), nullable=False),
    Column("raw", Text, nullable=False),
)

partition = Table(
    "history_partition",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    # The highest position that was seen, kept or not, and the latest time.
    Column("last", BigInteger, nullable=False),
    Column("newest", BigInteger, nullable=False),
    # The exporter's own count of each type's records, as JSON; and those it skipped.
    Column("sequences", Text, nullable=False),
    Column("missing", BigInteger, nullable=False),
)

life = Table(
    "history_life",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("life", Integer, primary_key=True, autoincrement=False),
    # The position it began at, and the engine's time of the record that told it.
    Column("began", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)
