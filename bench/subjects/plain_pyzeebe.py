"""The three services in plain pyzeebe: a session for each job, and an inbox row against repeats."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pyzeebe import ZeebeWorker, create_insecure_channel
from pyzeebe.errors import BusinessError
from sqlalchemy import Engine, literal
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, Session, SQLModel, create_engine

from bench import shop

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS: Final = 16
"""As many as a worker of Sagaworks has by default."""

CONNECTIONS: Final = THREADS + 2
"""A pool as large as Sagaworks makes it for as many threads."""

Fact = TypeVar("Fact", bound=SQLModel)


class Inbox(SQLModel, table=True):
    """One row for each job that has had its effect."""

    __tablename__ = "bench_inbox"

    key: str = Field(primary_key=True)


@dataclass(frozen=True)
class Tuning:
    """What a user of pyzeebe may set.

    Attributes:
        options: of each task; empty leaves pyzeebe's defaults.
        stream: jobs are pushed, beside the polls.
        threads: for steps; None leaves asyncio's default, which is 6 on two cores.
    """

    options: dict[str, Any]
    stream: bool = False
    threads: int | None = None


TUNED: Final[dict[str, Any]] = {
    "max_running_jobs": 2000,
    "max_jobs_to_activate": 200,
    "timeout_ms": 15_000,
}
"""So that a poller never waits for room. A job is locked as long as Sagaworks locks it: long enough
to run, and short enough that a lost report doesn't keep it for long."""


def run(role: str, name: str, address: str, database: str, tuning: Tuning) -> None:
    """Work until killed."""
    asyncio.run(_work(role, name, address, database, tuning))


async def _work(role: str, name: str, address: str, database: str, tuning: Tuning) -> None:
    if tuning.threads:
        pool = ThreadPoolExecutor(tuning.threads)
        asyncio.get_running_loop().set_default_executor(pool)
    worker = ZeebeWorker(create_insecure_channel(address), stream_enabled=tuning.stream)
    engine = create_engine(database, pool_size=CONNECTIONS, max_overflow=0)
    tasks = {"inventory": _inventory, "payments": _payments, "shipping": _shipping}[role](engine)
    # pyzeebe's types tell apart what here is decided by the tuning.
    declare: Any = worker.task
    for task in tasks:
        declare(task_type=f"{name}.{task.__name__}", **tuning.options)(task)
    await worker.work()


def _inventory(engine: Engine) -> list[Callable[..., Any]]:
    def hold_stock(saga_key: str, item: int) -> dict[str, Any]:
        with _once(engine, f"{saga_key}/hold_stock") as session:
            held = shop.hold_stock(session, saga_key, item) if session else None
        return _as_variable("stock_held", held or shop.StockHeld(item=item))

    def release_stock(saga_key: str, stock_held: dict[str, Any]) -> dict[str, Any]:
        with _once(engine, f"{saga_key}/release_stock") as session:
            if session:
                shop.release_stock(session, saga_key, shop.StockHeld.model_validate(stock_held))
        return {}

    return [hold_stock, release_stock]


def _payments(engine: Engine) -> list[Callable[..., Any]]:
    def charge_card(saga_key: str, item: int) -> dict[str, Any]:
        with _once(engine, f"{saga_key}/charge_card") as session:
            charged = shop.charge_card(session, saga_key, item) if session else None
        return _as_variable("card_charged", charged or shop.CardCharged(item=item))

    def refund_card(saga_key: str, card_charged: dict[str, Any]) -> dict[str, Any]:
        with _once(engine, f"{saga_key}/refund_card") as session:
            if session:
                charged = shop.CardCharged.model_validate(card_charged)
                shop.refund_card(session, saga_key, charged)
        return {}

    return [charge_card, refund_card]


def _shipping(engine: Engine) -> list[Callable[..., Any]]:
    def book_shipment(saga_key: str, item: int, doomed: bool) -> dict[str, Any]:  # noqa: FBT001
        try:
            with _once(engine, f"{saga_key}/book_shipment") as session:
                booked = shop.book_shipment(session, saga_key, item, doomed) if session else None
        except shop.NoCarrierError:
            raise BusinessError("NO_CARRIER", "Nobody takes it.") from None
        return _as_variable("shipment_booked", booked or shop.ShipmentBooked(item=item))

    return [book_shipment]


@contextmanager
def _once(engine: Engine, key: str) -> "Iterator[Session | None]":
    """Give a session whose work commits with its inbox row; None where the row stood already."""
    with Session(engine) as session:
        row = insert(Inbox).values(key=key).on_conflict_do_nothing().returning(literal(1))
        is_new = session.execute(row).first() is not None
        yield session if is_new else None
        session.commit()


def _as_variable(name: str, fact: SQLModel) -> dict[str, Any]:
    return {name: fact.model_dump()}
