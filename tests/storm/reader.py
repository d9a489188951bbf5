"""Somebody who adds up money and stock all the time, holds included: each sum is always right."""

import threading
from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import case
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, func, select

from models.inventory import Stock
from models.payments import Card, Charge
from tests.faults.real.works import Works

EVERY: Final = 0.25
"""Seconds between two readings."""


class Reader:
    """Reads on a thread of its own, whatever breaks.

    Attributes:
        sums: how many it has read.
        missed: how often a database didn't answer.
        wrong: sums that weren't right.
    """

    def __init__(self, works: Works) -> None:
        self._works = works
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.sums = 0
        self.missed = 0
        self.wrong: list[str] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self._read("payments", _money)
            self._read("inventory", _stock)

    def _read(self, service: str, add_up: Callable[[Session], Iterator[str]]) -> None:
        try:
            with self._works.stores[service].reading() as connection:
                self.wrong += [f"{service}: {each}" for each in add_up(Session(bind=connection))]
                self.sums += 1
        except SQLAlchemyError:
            self.missed += 1


def _money(session: Session) -> Iterator[str]:
    """Compare in one statement, which sees one moment: READ COMMITTED gives each its own."""
    kept = select(func.sum(case((~col(Charge.refunded), Charge.amount), else_=0))).scalar_subquery()
    asked = select(func.sum(Card.opened_with), func.sum(Card.balance), func.coalesce(kept, 0))
    opened, left, charged = session.exec(asked).one()
    if opened != left + charged:
        yield f"{opened} at first, {left} on cards, {charged} charged"


def _stock(session: Session) -> Iterator[str]:
    there = Stock.available + Stock.held + Stock.shipped
    for sku, received, found in session.exec(select(Stock.sku, Stock.received, there)):
        if received != found:
            yield f"{sku}: {received} received, {found} found"
