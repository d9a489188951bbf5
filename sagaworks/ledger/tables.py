"""The ledger's tables, the same in every service's database."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import DATETIME, LONGBLOB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from sagaworks.saga import LONGEST_KEY

LEDGER_VERSION: Final = 1
"""What `check_version` compares; a change of the tables below raises it and adds a migration."""

LONGEST_EACH: Final = 100
LONGEST_TENANT: Final = 31

metadata = MetaData()

_Id = BigInteger().with_variant(Integer, "sqlite")
_At = DateTime().with_variant(DATETIME(fsp=6), "mariadb")
# MariaDB's BLOB ends at 64 KB.
_Bytes = LargeBinary().with_variant(LONGBLOB(), "mariadb")

_MARIADB: Final[dict[str, Any]] = {
    "mariadb_engine": "InnoDB",
    "mariadb_default_charset": "utf8mb4",
    # By the default collation Order-42 is order-42, and a trailing blank is nothing (measured).
    "mariadb_collate": "utf8mb4_nopad_bin",
}


class utc_now(FunctionElement[Any]):  # noqa: N801  reads as a function in a statement
    """The database's clock, in UTC, to the millisecond or finer."""

    type = DateTime()
    inherit_cache = True


@compiles(utc_now, "sqlite")
def _sqlite_now(*_: object, **__: object) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f', 'now')"


@compiles(utc_now, "postgresql")
def _postgresql_now(*_: object, **__: object) -> str:
    # now() is the transaction's begin: before it waited for the saga row.
    return "timezone('utc', clock_timestamp())"


@compiles(utc_now, "mariadb")
def _mariadb_now(*_: object, **__: object) -> str:
    return "utc_timestamp(6)"


class age_of(FunctionElement[Any]):  # noqa: N801  reads as a function in a statement
    """How many seconds ago a moment was, by the database's clock."""

    type = Float()
    inherit_cache = True


@compiles(age_of, "sqlite")
def _sqlite_age(element: Any, compiler: Any, **options: Any) -> str:  # noqa: ANN401
    moment = compiler.process(element.clauses, **options)
    return f"((julianday('now') - julianday({moment})) * 86400.0)"


@compiles(age_of, "postgresql")
def _postgresql_age(element: Any, compiler: Any, **options: Any) -> str:  # noqa: ANN401
    moment = compiler.process(element.clauses, **options)
    return f"extract(epoch FROM timezone('utc', clock_timestamp()) - {moment})"


@compiles(age_of, "mariadb")
def _mariadb_age(element: Any, compiler: Any, **options: Any) -> str:  # noqa: ANN401
    moment = compiler.process(element.clauses, **options)
    return f"(timestampdiff(MICROSECOND, {moment}, utc_timestamp(6)) / 1000000)"


version = Table(
    "sagaworks_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    # Whose database it is: written by `sagaworks db upgrade`.
    Column("service", String(63)),
    **_MARIADB,
)

saga = Table(
    "sagaworks_saga",
    metadata,
    Column("tenant", String(LONGEST_TENANT), primary_key=True),
    Column("saga_key", String(LONGEST_KEY), primary_key=True),
    # The instance that owns the key; NULL while `start_saga` is creating it.
    Column("process_instance", BigInteger),
    Column("process_id", String(255), nullable=False),
    Column("start_digest", String(64)),
    Column("starting_at", _At),
    # Writing it is the lock: within one service the jobs of one saga go one after another.
    Column("touched", Integer, nullable=False),
    Column("created_at", _At, nullable=False),
    # Of a saga that was cancelled and withdrawn: when its instance had begun, in the engine's
    # milliseconds. Evidence, compared for equality: one of the same number may begin anew.
    Column("closed_began", BigInteger),
    # In which life of the engine it was seen to have ended, with nothing left to settle.
    Column("ended_in", Integer),
    # A job doesn't write it: only the reconciler does, once a saga.
    Index("sagaworks_not_ended", "ended_in", "tenant", "saga_key"),
    **_MARIADB,
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
    Column("request", _Bytes),
    Column("answer", _Bytes),
    Column("reports", Integer, nullable=False),
    Column("throw_accepted", Boolean, nullable=False),
    Column("undone_by", BigInteger),
    Column("created_at", _At, nullable=False),
    Column("answered_at", _At),
    Column("undone_at", _At),
    Column("counted_at", _At),
    UniqueConstraint("tenant", "saga_key", "step", "each", "round", name="sagaworks_one_execution"),
    # Without the state: else each answer would write every index of the row (measured, PostgreSQL).
    Index("sagaworks_uncounted", "counted_at"),
    **_MARIADB,
)

doubt = Table(
    "sagaworks_doubt",
    metadata,
    # Of the ledger. Here is what the reconciler can't settle, or not yet; no job writes here.
    Column("execution", _Id, primary_key=True, autoincrement=False),
    Column("kind", String(12), nullable=False),
    Column("why", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("since", _At, nullable=False),
    Column("tried_at", _At, nullable=False),
    **_MARIADB,
)

audit = Table(
    "sagaworks_audit",
    metadata,
    # What a person had `sagaworks audit --fix` do about a row of the ledger. Nothing changes it:
    # see `guards`; `became` is filled in once.
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("execution", _Id, nullable=False),
    Column("who", String(100), nullable=False),
    Column("why", Text, nullable=False),
    Column("was", Text, nullable=False),
    Column("became", Text),
    Column("at", _At, nullable=False),
    **_MARIADB,
)
