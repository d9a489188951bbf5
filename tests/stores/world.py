"""A ledger, its database, and the engine as far as a ledger asks it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import select

from sagaworks.ledger import statements
from sagaworks.ledger.answers import Answer
from sagaworks.ledger.call import Delivery
from sagaworks.ledger.decide import Presence
from sagaworks.ledger.guards import ANSWERS, CreateGuard, DropGuard
from sagaworks.ledger.migration import create_ledger
from sagaworks.ledger.protocol import Ledger
from sagaworks.ledger.reader import Told, read_trail
from sagaworks.ledger.rows import Entry, State, entry_of
from sagaworks.ledger.store import Store
from sagaworks.ledger.tables import ledger as ledger_table
from sagaworks.ledger.turns import Held
from sagaworks.runtime.deliveries import delivery_of
from sagaworks.saga import JobKey
from sagaworks.step import Compensation, Step
from tests.stores.shop import Carrier, Shelf, Table, available, carrier, parcels

TENANT: Final = "<default>"
ORDER: Final = "order-42"

Task = Step[..., Any] | Compensation[Any]


@dataclass
class Engine:
    """What the engine says of jobs; asking for one that isn't scripted fails the test."""

    jobs: dict[int, Presence] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    meanwhile: Callable[[int], None] = lambda _job: None

    def probe(self, job: JobKey) -> Presence:
        self.asked.append(job)
        self.meanwhile(job)
        return self.jobs[job]


class World:
    """One service's worker with its database; `second_worker` is another over the same one."""

    def __init__(self, url: str, engine: Engine | None = None, **options: Any) -> None:
        self.url = url
        self.options = {"pool_size": 4, **options}
        self.store = Store(url, **self.options)
        self.engine = engine or Engine()
        self.ledger = Ledger(self.store, self.engine.probe)
        self.carrier: Carrier = carrier
        self._others: list[World] = []

    def second_worker(self) -> "World":
        self._others.append(type(self)(self.url, self.engine, **self.options))
        return self._others[-1]

    def close(self) -> None:
        for world in (*self._others, self):
            world.store.close()

    def stock(self, sku: str = "lamp", count: int = 1) -> None:
        with self.store.session() as session:
            session.add(Shelf(sku=sku, available=count))

    def hear_of(self, saga: str = ORDER, instance: int = 1) -> None:
        """Make the saga one that the service has heard of, with no row of any step."""
        with self.store.writing() as connection:
            statements.lock_saga(
                connection, TENANT, saga, process_id="place_order", process_instance=instance
            )

    def restock(self, count: int) -> None:
        with self.store.session() as session:
            session.get_one(Shelf, "lamp").available = count

    def deliver(
        self,
        task: Task,
        variables: Mapping[str, object] | None = None,
        *,
        job: int = 1,
        saga: str = ORDER,
        instance: int = 1,
        headers: Mapping[str, str] | None = None,
        held: Held = lambda: True,
    ) -> Answer:
        """Hand a job to the ledger, as the runtime does."""
        delivery = delivery_to(
            task, variables, job=job, saga=saga, instance=instance, headers=headers
        )
        return self.ledger.run(task, delivery, held)

    @property
    def available(self) -> int:
        return self.left("lamp")

    def left(self, sku: str) -> int:
        with self.store.session() as session:
            return available(session, sku)

    @property
    def parcels(self) -> int:
        with self.store.session() as session:
            return parcels(session)

    @property
    def rows(self) -> list[Entry]:
        """The ledger's rows, oldest first."""
        with self.store.reading() as connection:
            found = connection.execute(select(ledger_table).order_by(ledger_table.c.id))
            return [entry_of(row) for row in found]

    @property
    def states(self) -> list[tuple[int, State]]:
        """Round and state of each row, oldest first."""
        return [(row.round, row.state) for row in self.rows]

    def column(self, name: str) -> list[Any]:
        """One column of the ledger's rows that `Entry` doesn't carry."""
        with self.store.reading() as connection:
            column = ledger_table.c[name]
            return [*connection.execute(select(column).order_by(ledger_table.c.id)).scalars()]

    def change_rows(self, **values: object) -> None:
        """Change every row behind the ledger's back, and its guard's."""
        with self.store.writing() as connection:
            connection.execute(DropGuard(ANSWERS))
            connection.execute(ledger_table.update().values(**values))
            connection.execute(CreateGuard(ANSWERS))

    def trail(self, saga: str = ORDER) -> list[Told]:
        with self.store.reading() as connection:
            return read_trail(connection, TENANT, saga)

    def in_doubt(self, older_than_seconds: float = 0) -> int:
        with self.store.reading() as connection:
            return statements.count_in_doubt(connection, older_than_seconds)


def delivery_to(
    task: Task,
    variables: Mapping[str, object] | None = None,
    *,
    job: int = 1,
    saga: str = ORDER,
    instance: int = 1,
    headers: Mapping[str, str] | None = None,
) -> Delivery:
    """Return what the runtime makes of a job."""
    message = SimpleNamespace(
        key=job,
        type=task.job_type,
        processInstanceKey=instance,
        bpmnProcessId="place_order",
        elementId=task.name,
        elementInstanceKey=1000 + job,
        retries=3,
        deadline=int((time.time() + 15) * 1000),
        variables=json.dumps({"saga_key": saga, **(variables or {})}),
        customHeaders=json.dumps(headers or {}),
    )
    return delivery_of(task, message, attempt=1, tenant=TENANT)


def migrate(url: str) -> None:
    """Create the ledger as a service's first revision does, and the shop's own tables."""
    store = Store(url)
    with store.writing() as connection:
        create_ledger(Operations(MigrationContext.configure(connection)))
        Table.metadata.create_all(connection)
    store.close()
