"""Mending one difference as the reconciler would, with a row that says who had it done and why."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from sagaworks.errors import SagaworksError
from sagaworks.ledger.store import Store
from sagaworks.ledger.tables import audit, doubt, ledger, utc_now
from sagaworks.reconcile import keep, withdraw
from sagaworks.reconcile.settling import Hands, Settling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from sagaworks.audit.books import Books
    from sagaworks.audit.difference import Difference


@dataclass(frozen=True, slots=True)
class By:
    """Who has something mended, and why."""

    who: str
    why: str


def mend(books: Books, difference: Difference, by: By) -> str:
    """Do what the reconciler would do about a difference; return what became of the row.

    It looks again under the saga row's lock: where a worker was faster, nothing is done. The audit
    row is committed before anything is done, and tells afterwards what became.

    Raises:
        HistoryUnavailable, SQLAlchemyError: it can't be done now; the audit row says it was tried.
    """
    effect, verdict, execution = difference.effect, difference.verdict, difference.execution
    assert effect is not None and verdict is not None and execution is not None  # noqa: S101, PT018  `can_be_mended`
    with _settling(books) as settling:
        with books.store.writing() as connection:
            row = _begin(connection, execution, by)
        settling.settle(effect, verdict)
        with books.store.writing() as connection:
            became = _state(connection, execution)
            change = update(audit).where(audit.c.id == row)
            connection.execute(change.values(became=became))
    return _in_words(became)


def decide(books: Books, difference: Difference, by: By, *, undo: bool) -> str:
    """Do what a person has decided about a row that only a person can decide on.

    An undo is recorded; the service's worker, or `mend`, carries it out.

    Raises:
        SagaworksError: the step has no compensation.
        SQLAlchemyError: it can't be done now, and nothing is.
    """
    execution = difference.execution
    assert execution is not None  # noqa: S101  `can_be_decided`
    if undo and not books.has_undo(difference.step):
        why = f"{difference.step} has no compensation"
        raise SagaworksError(f"{difference.row}: {why}: undo it by hand, and then --keep it")
    with books.store.writing() as connection:
        row = _begin(connection, execution, by)
        if undo:
            withdraw(connection, books.tenant, execution)
        else:
            keep(connection, books.tenant, execution, by.why)
        became = _state(connection, execution)
        connection.execute(update(audit).where(audit.c.id == row).values(became=became))
    return "its undo is recorded" if undo else "it stands"


def _begin(connection: Connection, execution: int, by: By) -> int:
    values = {"execution": execution, "who": by.who, "why": by.why, "at": utc_now()}
    wanted = insert(audit).values(was=_state(connection, execution), **values)
    return int(connection.execute(wanted.returning(audit.c.id)).scalar_one())


def _state(connection: Connection, execution: int) -> str:
    """Return what the ledger says of a row, without values of the business."""
    row = connection.execute(
        select(ledger.c.state, ledger.c.counted_at, ledger.c.undone_by, doubt.c.kind, doubt.c.why)
        .select_from(ledger.outerjoin(doubt, doubt.c.execution == ledger.c.id))
        .where(ledger.c.id == execution)
    ).one()
    said = {
        "state": row.state,
        "counted": row.counted_at is not None,
        "undone_by": row.undone_by,
        "listed": row.kind,
        "why": row.why,
    }
    return json.dumps(said)


def _in_words(state: str) -> str:
    said = json.loads(state)
    if said["state"] == "undone":
        return "undone"
    if said["listed"]:
        return f"{said['listed']}: {said['why']}"
    if said["undone_by"] is not None:
        return "its undo is recorded, and somebody is at it"
    return "counted" if said["counted"] else str(said["state"])


@contextmanager
def _settling(books: Books) -> Iterator[Settling]:
    """Give hands to the service's own steps; those that are ``async def`` run on a loop."""
    with ExitStack() as stack:
        awaiting = _awaiting(books, stack) if _is_async(books) else None
        yield Settling(books.service, Hands(books.store), awaiting, lambda *_: None)


def _is_async(books: Books) -> bool:
    steps = books.service.steps.values()
    return any(step.is_async or (step.undo is not None and step.undo.is_async) for step in steps)


def _awaiting(books: Books, stack: ExitStack) -> Hands:
    # Only such a service needs the extra `async`.
    from sagaworks.ledger import bridge  # noqa: PLC0415

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="awaiting", daemon=True)
    thread.start()
    stack.callback(loop.close)
    stack.callback(thread.join)
    stack.callback(loop.call_soon_threadsafe, loop.stop)

    def run(work: Callable[[], Any]) -> Any:  # noqa: ANN401  what the work returns
        return asyncio.run_coroutine_threadsafe(bridge.run(work), loop).result()

    url = books.store.url.render_as_string(hide_password=False)
    store = Store(url, awaits=True)
    stack.callback(run, store.close)
    return Hands(store, run)
