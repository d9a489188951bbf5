"""The whole picture over all services."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy.exc import SQLAlchemyError

from sagaworks.audit.books import Books
from sagaworks.audit.difference import printable
from sagaworks.audit.overlooked import overlooked, untold
from sagaworks.audit.strangers import Strangers
from sagaworks.errors import ConfigurationError, SagaworksError
from sagaworks.history import connect
from sagaworks.history.port import HistoryUnavailable, TellsWhatIsDue
from sagaworks.ledger.faults import reason_of
from sagaworks.ledger.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sagaworks.audit.difference import Difference
    from sagaworks.history import BrowsableHistory, History
    from sagaworks.project import Project
    from sagaworks.settings import Settings

_NAMED: Final = 5
"""Sagas of which nothing is to be done are named so many."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at.

    Attributes:
        patience: seconds for which a row is left alone: its record is on the way.
        newest: how many process instances of history are looked for in the ledgers.
    """

    patience: float = 3.0
    newest: int = 1000


@dataclass(frozen=True, slots=True)
class Unasked:
    """A service that couldn't be asked, and why."""

    service: str
    why: str


@dataclass
class Picture:
    """What was found.

    Attributes:
        asked: the services that answered.
        notes: what wasn't looked at, and why.
    """

    differences: list[Difference] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    unasked: list[Unasked] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        """Return it as one JSON object, for programs."""
        whole = {
            "differences": [one.as_plain() for one in self.differences],
            "asked": self.asked,
            "unasked": [{"service": one.service, "why": one.why} for one in self.unasked],
            "notes": self.notes,
        }
        return json.dumps(whole, indent=2, ensure_ascii=False)


@contextmanager
def all_books(
    project: Project, settings: Settings, picture: Picture, scope: Scope
) -> Iterator[tuple[History, list[Books]]]:
    """Open the books of each service that can be asked; the others are told in the picture.

    Raises:
        ConfigurationError: there is no history to ask.
    """
    place = settings.history_place()
    if place is None:
        remedy = "start an engine with `sagaworks engine up`, or say where `sagaworks history` is"
        raise ConfigurationError(f"SAGAWORKS_HISTORY isn't set: {remedy}")
    history = connect(place, token=settings.token)
    opened: list[Books] = []
    try:
        for name in project.service_names():
            try:
                opened.append(_open(name, project, settings, history, scope))
            except SagaworksError as error:
                picture.unasked.append(Unasked(name, str(error)))
        yield history, opened
    finally:
        for books in opened:
            books.store.close()


def _open(name: str, project: Project, settings: Settings, history: History, scope: Scope) -> Books:
    service = project.service(name)
    store = Store(settings.database_url(name))
    try:
        store.check_version(name)
    except SagaworksError:
        store.close()
        raise
    return Books(service, store, history, settings.tenant, scope.patience)


def look(history: History, opened: Sequence[Books], picture: Picture, scope: Scope) -> None:
    """Fill in the differences.

    Raises:
        HistoryUnavailable: there is nothing to compare with.
    """
    asked = [books for books in opened if _look_at(books, picture)]
    picture.asked = [books.service.name for books in asked]
    _look_for_overlooked(history, picture)
    if not hasattr(history, "newest"):
        why = "this history answers about one saga at a time"
        picture.notes.append(f"sagas that no ledger knows weren't looked for: {why}")
        return
    strangers = Strangers(cast("BrowsableHistory", history), asked, scope.newest)
    try:
        picture.differences += strangers.differences()
    except SQLAlchemyError as error:
        picture.notes.append(f"sagas that no ledger knows weren't looked for: {reason_of(error)}")
    if 0 < strangers.seen == scope.newest:
        what = f"of history's process instances only the newest {scope.newest} were looked for"
        picture.notes.append(f"{what} in the ledgers: --newest says how many")


def _look_for_overlooked(history: History, picture: Picture) -> None:
    not_looked_for = "jobs that the engine has overlooked weren't looked for"
    if not isinstance(history, TellsWhatIsDue):
        picture.notes.append(f"{not_looked_for}: this history doesn't tell when a job is due")
        return
    try:
        due = history.due_jobs()
    except HistoryUnavailable as error:
        picture.notes.append(f"{not_looked_for}: {error}")
        return
    picture.differences += overlooked(history, due)
    if late := untold(due, time.time()):
        what = "the engine has told of too little since to say that it has overlooked them"
        picture.notes.append(f"jobs due to be offered again: {late}; {what}")


def _look_at(books: Books, picture: Picture) -> bool:
    try:
        picture.differences += books.differences()
    except HistoryUnavailable:
        raise
    except (SQLAlchemyError, SagaworksError) as error:
        why = reason_of(error) if isinstance(error, SQLAlchemyError) else str(error)
        picture.unasked.append(Unasked(books.service.name, why))
        return False
    if books.forgotten:
        count, some = len(books.forgotten), ", ".join(books.forgotten[:_NAMED])
        more = ", …" if count > _NAMED else ""
        what = f"{count} of its sagas are unknown to the engine, with nothing open"
        picture.notes.append(printable(f"{books.service.name}: {what}: {some}{more}"))
    return True
