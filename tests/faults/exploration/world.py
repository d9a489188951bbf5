"""What a process explores in: four databases of one kind, the carrier, and threads to live on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Final

from loguru import logger
from sqlalchemy import text

from demo.carrier_stub import Carrier, Server
from models.inventory import Stock
from models.payments import Card
from sagaworks.diagram import read_diagram
from sagaworks.ledger.points import hooked
from sagaworks.ledger.store import Store
from sagaworks.project import Project
from sagaworks.service import Service
from sagaworks.testing.databases import make_tables
from tests.faults.exploration.life import Hands, commits_watched, hook, lines_watched
from tests.faults.exploration.paths import Path as Way

PROJECT: Final = Path(__file__).parents[3]

SERVICES: Final = ("orders", "inventory", "payments", "shipping")

_IDLE: Final = {
    "postgresql": """SELECT pid FROM pg_stat_activity WHERE datname = current_database()
        AND state = 'idle in transaction' AND pid <> pg_backend_pid()""",
    "mariadb": """SELECT t.trx_mysql_thread_id FROM information_schema.innodb_trx t
        JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
        WHERE p.db = database() AND p.command = 'Sleep' AND p.id <> connection_id()""",
}

_END: Final = {"postgresql": "SELECT pg_terminate_backend({})", "mariadb": "KILL {}"}
"""How a server ends a transaction that stands idle: here at once, else when its time is over."""


class World:
    """Where runs take place, one after the other, each with keys of its own.

    Args:
        urls: each service's database, migrated.

    Attributes:
        stores: for seeding and for reading what is left; no worker uses them.
        kind: sqlite, postgresql or mariadb.
    """

    def __init__(self, urls: dict[str, str]) -> None:
        """Open everything; see `opened`."""
        self.project = Project.load(PROJECT)
        self.services: dict[str, Service] = {n: self.project.service(n) for n in SERVICES}
        self.diagram = read_diagram(PROJECT / "bpmn" / "place_order.bpmn")
        self.stores = {name: Store(url) for name, url in urls.items()}
        self.kind = self.stores["orders"].engine.dialect.name
        self.carrier = Carrier()
        self._carrier_url = ""
        self._urls = urls
        self._free: list[Hands] = []
        self._stack = ExitStack()
        self._numbers = count(1)

    @classmethod
    @contextmanager
    def opened(cls, urls: dict[str, str]) -> Iterator[World]:
        """Give a world; its threads and its carrier end with the block."""
        world = cls(urls)
        logger.disable("sagaworks")
        with world._stack, world._carrier_served(), hooked(hook), lines_watched():
            try:
                yield world
            finally:
                for store in world.stores.values():
                    store.close()
                logger.enable("sagaworks")

    @contextmanager
    def hands(self) -> Iterator[Callable[[], Hands]]:
        """Lend threads for as long as a run lasts."""
        lent: list[Hands] = []

        def lend() -> Hands:
            lent.append(self._free.pop() if self._free else self._new_hands())
            return lent[-1]

        yield lend
        self._free += lent

    def seed(self, way: Way) -> str:
        """Put an article and a card in place for one order; return the name that both have."""
        key = f"order-{next(self._numbers)}"
        self.carrier.answers.clear()
        # A process may have several worlds, and the worker's module knows one carrier.
        os.environ["CARRIER_URL"] = self._carrier_url
        with self.stores["inventory"].session() as session:
            session.add(Stock(sku=key, available=way.available, received=way.available))
        with self.stores["payments"].session() as session:
            balance = Decimal(way.balance)
            asks = way.needs_approval
            session.add(Card(number=key, balance=balance, opened_with=balance, needs_approval=asks))
        return key

    def approve(self, card: str) -> None:
        """Let the card's holder say yes."""
        with self.stores["payments"].session() as session:
            session.get_one(Card, card).approved = True

    def end_idle_transactions(self, service: str) -> int:
        """End the transactions of this service in which nothing happens, as its server would."""
        with self.stores[service].engine.connect() as connection:
            found = connection.execute(text(_IDLE[self.kind])).scalars().all()
            for session in found:
                connection.execute(text(_END[self.kind].format(session)))
            connection.rollback()
        return len(found)

    def _new_hands(self) -> Hands:
        hands = Hands(self._urls)
        for store in hands.stores.values():
            self._stack.enter_context(commits_watched(store))
        self._stack.callback(hands.close)
        return hands

    @contextmanager
    def _carrier_served(self) -> Iterator[None]:
        with Server(self.carrier) as server:
            server.RequestHandlerClass.log_message = lambda *_: None  # type: ignore[method-assign]
            serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            serving.start()
            self._carrier_url = server.url
            yield
            os.environ.pop("CARRIER_URL", None)
            server.shutdown()
            serving.join()


def migrated(urls: dict[str, str]) -> dict[str, str]:
    """Make the tables and ledgers of the four services in empty databases."""
    project = Project.load(PROJECT)
    for name, url in urls.items():
        make_tables(name, url, project)
    return urls
