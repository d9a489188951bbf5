"""The shop as a test uses it: place an order, look at its trail, kill a worker."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar

from demo.books import Books, read_books
from demo.placing import PROCESS
from demo.plan import Plan
from demo.processes import Child
from demo.readings import Readings
from demo.seed import approve
from demo.system import System
from models.payments import Card
from sagaworks import start_saga
from sagaworks.ledger.store import Store
from sagaworks.runtime.gateway import Gateway, connect
from sagaworks.start import Started
from workers.orders import orders

R = TypeVar("R")

ORDER = {
    "sku": "lamp",
    "quantity": 2,
    "amount": Decimal("39.80"),
    "card": "card-01",
    "address": "Main Street 1",
}

ENDS = {("ship_stock", "executed"), ("accept_order", "undone"), ("accept_order", "refused")}
"""What a service's ledger says last of an order that is done, undone or turned away."""

END_WITHIN = 60.0
"""Seconds, on a loaded machine."""


class Shop:
    """What a test does with it."""

    def __init__(self, system: System, plan: Plan) -> None:
        self.system = system
        self.plan = plan
        self.settings = system.settings
        self.readings: Readings = system.start(plan)
        self.placed: list[str] = []

    def place(self, key: str, **changes: Any) -> Started:
        """Place an order for two lamps, or as changed."""
        self.placed.append(key)
        return start_saga(
            orders, PROCESS, key=key, variables=ORDER | changes, settings=self.settings
        )

    def trail(self, key: str) -> list[tuple[str, str]]:
        """What happened in all services, in order: (step, event)."""
        names = self.system.saga.services
        entries = [entry for name in names for entry in self.readings.ledger(name, key)]
        return [(e["step"], e["event"]) for e in sorted(entries, key=lambda e: str(e["at"]))]

    def ended(self, key: str) -> list[tuple[str, str]]:
        """The trail of the order after its start, once it has come to its end."""
        wait_until(lambda: ENDS & set(self.trail(key)), lambda: f"{key}: {self.trail(key)}")
        start, *rest = self.trail(key)
        assert start == ("place_order", "started")
        return rest

    def books(self) -> Books:
        """The books after all orders placed so far."""
        return read_books(self.readings, self.placed)

    def open_card(self, number: str) -> None:
        """Open a card whose holder must approve each payment."""
        store = Store(self.settings.database_url("payments"))
        with store.session() as session:
            rich = Decimal(1000)
            session.add(Card(number=number, balance=rich, opened_with=rich, needs_approval=True))
        store.close()

    def approve(self, card: str) -> None:
        """Let its holder approve."""
        approve(self.settings, card)

    def worker(self, name: str) -> Child:
        """The process of a service."""
        return next(child for child in self.system.children.children if child.name == name)

    def kill(self, name: str) -> None:
        """End a worker at once, whatever it is doing."""
        child = self.worker(name)
        os.kill(child.process.pid, signal.SIGKILL)
        child.process.wait()
        self.system.children.children.remove(child)

    def revive(self, name: str) -> None:
        """Start the worker again and wait until it takes jobs."""
        carrier = self.readings.urls["carrier"]
        child = self.system.children.start(name, "-m", "workers", name, CARRIER_URL=carrier)
        wait_until(child.url, child.tail)
        self.readings.urls[name] = child.url() or ""
        wait_until(lambda: self.readings.why_not_ready(name) is None, child.tail)

    def log(self, name: str) -> str:
        """What the worker has logged."""
        return self.worker(name).log.read_text()

    def ask_engine(self, question: Callable[[Gateway], Awaitable[R]]) -> R:
        """Run a command over a gateway of its own."""

        async def ask() -> R:
            async with connect(self.settings) as gateway:
                return await question(gateway)

        return asyncio.run(ask())


def wait_until(condition: Callable[[], object], why: Callable[[], str]) -> None:
    """Wait for a condition; `why` tells what there is instead."""
    until = time.monotonic() + END_WITHIN
    while not condition():
        assert time.monotonic() < until, why()
        time.sleep(0.05)
