"""Runs in which people do something too: a scene for each thing that only people bring about."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar, Final

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, update

from models.inventory import Stock
from models.payments import Card, CardCharged, Charge
from sagaworks.saga import BY_HAND_VARIABLE, Saga
from tests.faults.exploration.engine import JobState, SimulatedEngine
from tests.faults.exploration.paths import PATHS
from tests.faults.exploration.paths import Path as Way
from tests.faults.exploration.run import QUANTITY, Run
from tests.faults.exploration.schedule import Schedule
from workers.payments import payments


class CompletedByHand(Run):
    """A person completes the job of hold_stock while its worker sleeps, and undoes it by hand.

    What that person has done is nobody's business here: no unit was held.
    """

    def meanwhile(self) -> None:
        """See `Run`."""
        job = self.engine.waiting(self.instance)
        if self._asleep and job and job.task.id == "hold_stock":
            held = {"stock_held": {"sku": self.goods, "quantity": QUANTITY}}
            self.engine.complete(job.key, json.dumps({**held, BY_HAND_VARIABLE: "hold_stock"}))


class GoodsArrive(Run):
    """The shelf is filled after the step has refused, and before the engine knows of it."""

    def meanwhile(self) -> None:
        """See `Run`."""
        if self._late:
            with self.world.stores["inventory"].session() as session:
                stock = session.get_one(Stock, self.goods)
                stock.available = stock.received = 10


class TakenUpAgain(Run):
    """An operator takes an undone order up again: the token goes back to hold_stock."""

    _again = False

    def way_of(self, schedule: Schedule) -> Way:
        """See `Run`."""
        return replace(PATHS["shipped"], balance=PATHS["declined"].balance)

    def meanwhile(self) -> None:
        """See `Run`."""
        done = (job.task.id for job in self.instance.jobs if job.state is JobState.COMPLETED)
        if not self._again and "release_stock" in done:
            self._again = True
            with self.world.stores["payments"].session() as session:
                card = session.get_one(Card, self.goods)
                card.balance += 100
                card.opened_with += 100
            self.engine.go_back(self.instance, "hold_stock")


class StartedTwice(Run):
    """Somebody starts a second instance under the key of an order that was shipped.

    It is recalled, so that its compensation would undo the first one's effects.
    """

    def _judged(self) -> Any:
        """Let the second instance go as far as it gets, before the first one is judged."""
        first, self.instance = self.instance, self.engine.start(self.instance.variables)
        self.way = replace(self.way, recalled=True)
        while (job := self.engine.waiting(self.instance)) and not self.hung:
            self._deliver(job)
        self.engine.cancel(self.instance)
        self.instance, self.way = first, replace(self.way, recalled=False)
        return super()._judged()


class OfTheSameName(Run):
    """Two orders, one run after the other, whose keys differ in the case of a letter only."""

    _names: ClassVar[Iterator[str]] = iter(())

    def key_for(self, goods: str) -> str:
        """See `Run`."""
        name = next(self._names, None)
        if name is None:
            type(self)._names = iter([f"Namesake-{goods}"])
            name = f"namesake-{goods}"
        return name


class DeadlockIgnored(Run):
    """A careless step meets a deadlock, catches the error, and tries its statements again."""

    def __init__(self, *given: Any) -> None:
        """Have another transaction hold what the step will want."""
        super().__init__(*given)
        self._other = f"{self.goods}-other"
        balance = Decimal(100)
        with self.world.stores["payments"].session() as session:
            for number in (self._other, *(f"{self._other}-{n}" for n in range(100))):
                session.add(Card(number=number, balance=balance, opened_with=balance))

    def play(self) -> Any:
        """See `Run`."""
        step, engine = payments.steps["charge_card"], self.world.stores["payments"].engine
        careful = step.function
        with engine.connect() as connection, pytest.MonkeyPatch.context() as patch:
            # What has changed more rows survives a deadlock.
            connection.execute(_WANT_ALL, self._named)
            opponent = threading.Thread(target=self._want, args=(connection,))
            patch.setattr(step, "function", self._careless(opponent))
            verdict = super().play()
            opponent.join()
        assert step.function is careful
        return verdict

    @property
    def _named(self) -> dict[str, str]:
        return {"other": f"{self._other}%"}

    def _want(self, connection: Connection) -> None:
        connection.execute(
            text("UPDATE card SET approved = 1 WHERE number = :n"), {"n": self.goods}
        )
        connection.rollback()

    def _careless(self, opponent: threading.Thread) -> Any:
        def charge_card(session: Session, saga: Saga, card: str, amount: Decimal) -> CardCharged:
            left = col(Card.balance) - amount
            take = update(Card).where(col(Card.number) == card).values(balance=left)
            charge = Charge(order_key=saga.business_key, card=card, amount=amount)
            session.execute(take)
            if not opponent.ident:
                opponent.start()
                time.sleep(0.2)
                with suppress(DBAPIError):
                    session.execute(_WANT_ALL, self._named)
                # All is undone; what follows is a transaction of its own.
                session.execute(take)
            session.add(charge)
            return CardCharged(charge=charge.id, amount=amount)

        return charge_card


class EngineWiped(Run):
    """The engine has lost its data since, and gives the keys of this order to another's saga.

    That one is cancelled.
    """

    def _judged(self) -> Any:
        """Let the services look once more, at the history of the new life."""
        first, engine = self.instance, self.engine
        self.engine = SimulatedEngine(self.world.diagram)
        another = self.engine.start({**first.variables, "saga_key": f"{self.key}-of-another"})
        for job in first.jobs:
            self.engine.jobs.setdefault(job.key, replace(job, instance=another))
        another.jobs = [*self.engine.jobs.values()]
        self.engine.cancel(another)
        for job in another.jobs:
            job.state = JobState.CANCELED
        self._lives, self._unswept = {}, [*self.world.services]
        self._sweep()
        self.instance, self.engine = first, engine
        return super()._judged()


_WANT_ALL: Final = text("UPDATE card SET approved = 1 - approved WHERE number LIKE :other")
_WANT_ONE: Final = text("UPDATE card SET approved = 1 WHERE number = :number")
