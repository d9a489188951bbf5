"""What the tests of the runtime share: a small service on SQLite, and a worker in this process."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel

from sagaworks import Service
from sagaworks.ledger import tables
from sagaworks.ledger.store import Store
from sagaworks.runtime.worker import Worker
from sagaworks.settings import Settings
from sagaworks.testing import ScriptedGateway

LOCK = timedelta(seconds=3)
"""Longer than a fault of these tests, so that only what is meant to run out does."""

THREADS = 4


class Table(SQLModel, registry=registry()):
    """Tables of these tests only, apart from everybody else's."""


class Effect(Table, table=True):
    """One row for each time a step took effect."""

    id: int | None = Field(default=None, primary_key=True)
    sku: str


class Shelf(Table, table=True):
    """Stock, for steps that may refuse."""

    sku: str = Field(primary_key=True)
    available: int


class StockHeld(SQLModel):
    """What `hold_stock` returns."""

    sku: str
    quantity: int


class Gate:
    """Where a step's thread waits until the test opens it; counts who is inside."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._lock = threading.Lock()
        self.arrived = 0
        self.inside = 0
        self.most = 0

    def open(self) -> None:
        self._opened.set()

    def wait(self, seconds: float = 15.0) -> None:
        """Wait for the test; give up rather than hang it."""
        with self._lock:
            self.arrived += 1
            self.inside += 1
            self.most = max(self.most, self.inside)
        self._opened.wait(seconds)
        with self._lock:
            self.inside -= 1


@dataclass
class Shop:
    """A service, its database and its worker's settings."""

    gateway: ScriptedGateway
    settings: Settings
    service: Service
    store: Store
    gate: Gate = field(default_factory=Gate)
    outcomes: Callable[[str, str], float] = lambda *_: 0.0

    def effects(self) -> list[str]:
        """The products that steps took effect on, oldest first."""
        with self.store.reading() as connection, Session(bind=connection) as session:
            return list(session.scalars(select(Effect.sku).order_by(Effect.id)))

    def rows(self) -> list[dict[str, Any]]:
        """The ledger, oldest row first."""
        with self.store.reading() as connection:
            found = connection.execute(select(tables.ledger).order_by(tables.ledger.c.id))
            return [dict(row) for row in found.mappings()]

    def put(self, *rows: Table) -> None:
        """Add rows to the service's tables."""
        with self.store.session() as session:
            session.add_all(rows)

    def available(self, sku: str) -> int:
        """How many units are on the shelf."""
        with self.store.reading() as connection, Session(bind=connection) as session:
            return session.get_one(Shelf, sku).available

    @asynccontextmanager
    async def open(self, **settings: Any) -> AsyncIterator[Worker]:
        """Run the worker for as long as the block lasts, then drain it; it must end by itself."""
        worker = Worker(self.service, self.settings_with(**settings))
        stop = asyncio.Event()
        running = asyncio.create_task(worker.run(stop))
        self.outcomes = lambda step, outcome: worker.metrics.jobs.labels(step, outcome)._value.get()
        try:
            yield worker
        finally:
            self.gate.open()
            stop.set()
            async with asyncio.timeout(10):
                await running

    async def streaming(self, step: str) -> None:
        """Wait until the worker's stream for a step is open, and its first poll answered."""
        job_type = f"{self.service.name}.{step}"
        await self.gateway.until(
            lambda: (
                self.gateway.open_streams(job_type)
                and any(poll.ended for poll in self.gateway.polls_of(job_type))
            ),
            what=f"stream and first poll of {job_type}",
        )

    def settings_with(self, **changes: Any) -> Settings:
        """The settings, some of them changed."""
        return Settings(**{**vars(self.settings), **changes})


def in_flight(worker: Worker) -> float:
    """How many jobs the worker says that it has in hand."""
    return worker.metrics.registry.get_sample_value("sagaworks_jobs_in_flight") or 0.0


def new_shop(gateway: ScriptedGateway, folder: Path) -> Shop:
    """Make a service without steps, its database migrated."""
    settings = Settings(
        data=folder,
        zeebe_address=gateway.address,
        threads=THREADS,
        lock=LOCK,
        grace=timedelta(seconds=5),
    )
    store = Store(settings.database_url("shop"))
    create_tables(store)
    return Shop(gateway, settings, Service("shop"), store)


def create_tables(store: Store) -> None:
    """Do what the service's first migration does."""
    with store.writing() as connection:
        tables.metadata.create_all(connection)
        connection.execute(tables.version.insert().values(version=tables.LEDGER_VERSION))
        Table.metadata.create_all(connection)
