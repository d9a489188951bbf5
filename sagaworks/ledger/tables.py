"""The ledger's tables, the same in every service's database."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from sagaworks.saga import LONGEST_KEY

LEDGER_VERSION: Final = 1
"""What `check_version` compares; a change of the tables below raises it and adds a migration."""

LONGEST_EACH: Final = 100
LONGEST_TENANT: Final = 31

metadata = MetaData()

_Id = BigInteger().with_variant(Integer, "sqlite")


class utc_now(FunctionElement[Any]):  # noqa: N801  reads as a function in a statement
    """The database's clock, in UTC, to the millisecond or finer."""

    type = DateTime()
    inherit_cache = True


@compiles(utc_now, "sqlite")
def _sqlite_now(*_: object, **__: object) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f', 'now')"


version = Table("sagaworks_version", metadata, Column("version", Integer, primary_key=True))

saga = Table(
    "sagaworks_saga",
    metadata,
    Column("tenant", String(LONGEST_TENANT), primary_key=True),
    Column("saga_key", String(LONGEST_KEY), primary_key=True),
    # The instance that owns the key; NULL while `start_saga` is creating it.
    Column("process_instance", BigInteger),
    Column("process_id", String(255), nullable=False),
    Column("start_digest", String(64)),
    Column("starting_at", DateTime),
    # Writing it is the lock: within one service the jobs of one saga go one after another.
    Column("touched", Integer, nullable=False),
    Column("created_at", DateTime, nullable=False),
)

ledger = Table(
    "sagaworks_ledger",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("tenant", String(LONGEST_TENANT), nullable=False),
    Column("saga_key", String(LONGEST_KEY), nullable=False),
    Column("step", String(63), nullable=False),
    Column("each", String(LONGEST_EACH), nullable=False),
    Column("round", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    # Evidence, never identity: engine keys repeat after a restored engine.
    Column("process_instance", BigInteger, nullable=False),
    Column("element", String(255), nullable=False),
    Column("element_instance", BigInteger, nullable=False),
    Column("jobs", Text, nullable=False),
    Column("loop_counter", Integer),
    Column("inputs", String(64), nullable=False),
    # A remote step's inputs, so that whoever meets its intent can finish the same call.
    Column("request", LargeBinary),
    Column("answer", LargeBinary),
    Column("reports", Integer, nullable=False),
    Column("throw_accepted", Boolean, nullable=False),
    Column("undone_by", BigInteger),
    Column("created_at", DateTime, nullable=False),
    Column("answered_at", DateTime),
    Column("undone_at", DateTime),
    Column("counted_at", DateTime),
    UniqueConstraint("tenant", "saga_key", "step", "each", "round", name="sagaworks_one_execution"),
    Index("sagaworks_uncounted", "counted_at", "state"),
)
