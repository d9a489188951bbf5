"""Triggers that keep what the ledger has answered: not even a worker's own bug rewrites it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement

_AUDITED: Final = ("execution", "who", "why", "was", "at")

_NEVER: Final = ("tenant", "saga_key", "step", "each", "round", "created_at", "inputs", "request")
"""The identity, and what came in."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A trigger before `verb`, on rows of `table`; see below what it refuses."""

    name: str
    verb: str
    table: str
    message: str


ANSWERS: Final = Guard(
    "sagaworks_answers_stand", "UPDATE", "sagaworks_ledger", "an answer of the ledger stands"
)

# A starter takes back a reservation of its own; a saga that has begun is there for ever.
SAGAS: Final = Guard(
    "sagaworks_sagas_stand", "DELETE", "sagaworks_saga", "a saga that has begun stays"
)

# MariaDB's upsert wants the right to update all columns.
KEYS: Final = Guard("sagaworks_keys_stand", "UPDATE", "sagaworks_saga", "a saga's key stands")

AUDITS: Final = Guard(
    "sagaworks_audits_stand", "UPDATE", "sagaworks_audit", "what a person had done stands"
)

GUARDS: Final = (ANSWERS, SAGAS, KEYS, AUDITS)


class CreateGuard(ExecutableDDLElement):
    """Create the trigger; its owner is who migrates, which a worker's role isn't."""

    inherit_cache = False

    def __init__(self, guard: Guard) -> None:
        """Keep which."""
        self.guard = guard


class DropGuard(CreateGuard):
    """Drop the trigger."""

    inherit_cache = False


@compiles(CreateGuard, "sqlite")
def _create_in_sqlite(element: CreateGuard, *_: Any, **__: Any) -> str:  # noqa: ANN401
    guard = element.guard
    refused = _refused(guard, "OLD.{0} IS NOT NEW.{0}", '"')
    return (
        f"CREATE TRIGGER {guard.name} BEFORE {guard.verb} ON {guard.table} WHEN {refused}"
        f" BEGIN SELECT RAISE(ABORT, '{_text(guard)}'); END"
    )


@compiles(CreateGuard, "postgresql")
def _create_in_postgresql(element: CreateGuard, *_: Any, **__: Any) -> str:  # noqa: ANN401
    guard = element.guard
    refused = _refused(guard, "OLD.{0} IS DISTINCT FROM NEW.{0}", '"')
    # The condition is the trigger's, so that the function isn't called where nothing is refused.
    return (
        f"CREATE FUNCTION {guard.name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{_text(guard)}'; END $$;"
        f"CREATE TRIGGER {guard.name} BEFORE {guard.verb} ON {guard.table}"
        f" FOR EACH ROW WHEN ({refused}) EXECUTE FUNCTION {guard.name}()"
    )


@compiles(CreateGuard, "mariadb")
def _create_in_mariadb(element: CreateGuard, *_: Any, **__: Any) -> str:  # noqa: ANN401
    guard = element.guard
    refused = _refused(guard, "NOT OLD.{0} <=> NEW.{0}", "`")
    return (
        f"CREATE TRIGGER {guard.name} BEFORE {guard.verb} ON {guard.table} FOR EACH ROW"
        f" IF {refused} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{_text(guard)}'; END IF"
    )


@compiles(DropGuard)
def _drop(element: DropGuard, *_: Any, **__: Any) -> str:  # noqa: ANN401
    return f"DROP TRIGGER {element.guard.name}"


@compiles(DropGuard, "postgresql")
def _drop_in_postgresql(element: DropGuard, *_: Any, **__: Any) -> str:  # noqa: ANN401
    return f"DROP FUNCTION {element.guard.name}() CASCADE"


def _refused(guard: Guard, differs: str, quote: str) -> str:
    if guard is SAGAS:
        return "OLD.process_instance IS NOT NULL"
    if guard is KEYS:
        return " OR ".join(differs.format(column) for column in ("tenant", "saga_key"))
    if guard is AUDITS:
        audited = (f"({differs.format(f'{quote}{column}{quote}')})" for column in _AUDITED)
        return " OR ".join(["OLD.became IS NOT NULL", *audited])
    return " OR ".join(f"({words})" for words in _rewritten(differs, quote))


def _rewritten(differs: str, quote: str) -> Iterator[str]:
    for column in _NEVER:
        yield differs.format(f"{quote}{column}{quote}")
    yield f"OLD.state NOT IN ('claim', 'intent') AND {differs.format('answer')}"
    yield "OLD.state IN ('refused', 'undone', 'fence') AND OLD.state <> NEW.state"
    yield "OLD.state = 'open' AND NEW.state IN ('claim', 'intent')"


def _text(guard: Guard) -> str:
    return guard.message.replace("'", "''")
