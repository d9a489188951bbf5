"""A service whose every run leaves a mark of its own, so that each undo can be told apart."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from sqlmodel import Session, SQLModel

from sagaworks import Refusal, Service
from sagaworks.ledger.store import Store
from sagaworks.reconcile import Doubt, doubts_of
from sagaworks.testing import Zeebe
from sagaworks.testing.saga import RunningSaga


class Done(SQLModel):
    """One run of a step."""

    run: str


class No(Refusal, code="NO"):
    """Not this one."""


@dataclass
class Marks:
    """What was done and undone, each run by a name of its own."""

    done: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)

    @property
    def standing(self) -> list[str]:
        """What was done and not undone; what was undone twice or without need comes with a !."""
        left = list(self.done)
        for run in self.undone:
            if run not in left:
                return [f"!{run}"]
            left.remove(run)
        return left


@pytest.fixture
def marks() -> Marks:
    return Marks()


@pytest.fixture
def shop(marks: Marks) -> Service:
    """Steps a and b run once; pack runs for each line; refuse says no; z waits for the test."""
    service = Service("shop")

    def mark(run: str) -> Done:
        marks.done.append(run)
        return Done(run=run)

    @service.step
    def a(session: Session) -> Done:
        return mark("a")

    @a.compensation
    def undo_a(session: Session, done: Done) -> None:
        marks.undone.append(done.run)

    @service.step
    def b(session: Session) -> Done:
        return mark("b")

    @b.compensation
    def undo_b(session: Session, done: Done) -> None:
        marks.undone.append(done.run)

    @service.step(each="line")
    def pack(session: Session, line: str, refused: str = "") -> Done:
        if line == refused:
            raise No(line)
        return mark(f"pack {line}")

    @pack.compensation
    def undo_pack(session: Session, done: Done) -> None:
        marks.undone.append(done.run)

    @service.step
    def refuse(session: Session) -> None:
        raise No("always")

    return service


class Reconciled:
    """Asks a service's ledger until what is expected has come about."""

    def __init__(self, zeebe: Zeebe, service: Service) -> None:
        self._zeebe = zeebe
        self._store = Store(zeebe.settings.database_url(service.name))

    def listed(self) -> list[Doubt]:
        with self._store.reading() as connection:
            return [*doubts_of(connection, self._zeebe.settings.tenant)]

    def states(self, saga: RunningSaga) -> list[str]:
        """What the trail says last of each execution."""
        return [str(entry["event"]) for entry in saga.ledger]

    def close(self) -> None:
        self._store.close()


@pytest.fixture
def reconciled(zeebe: Zeebe, shop: Service) -> Iterator[Reconciled]:
    zeebe.work(shop)
    reconciled = Reconciled(zeebe, shop)
    yield reconciled
    reconciled.close()
