"""The floor of any worker in Python: the no-op's way to the engine, and each step's own work.

A step is carried out in a transaction of its own on one of few threads, and nothing else is done:
no inbox row, no ledger, no log, no metrics, no types. Whatever a worker adds comes on top of it;
only one that shares a transaction among steps may do with less.
"""

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from sqlalchemy import Engine
from sqlmodel import Session, create_engine

from bench import shop
from bench.subjects.no_op import Source, work

THREADS: Final = 6
"""More of them only take the interpreter's lock from each other: docs/decisions/0039."""


def run(role: str, name: str, address: str, database: str) -> None:
    """Work until killed."""
    keep_working(Steps, THREADS, role, name, address, database)


def keep_working(  # noqa: PLR0913, PLR0917  a kind of worker, and what each is told
    steps: type["Steps"], count: int, role: str, name: str, address: str, database: str
) -> None:
    """Carry out a role's steps on so many threads, each with a connection, until killed."""
    engine = create_engine(database, pool_size=count, max_overflow=0)
    threads = ThreadPoolExecutor(count)
    # As a worker of Sagaworks does: what stays is no garbage.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
    asyncio.run(work(role, name, address, partial(steps, engine, threads)))


class Steps(Source):
    """Carries out one step's jobs, each in a transaction of its own."""

    fetched = ("saga_key", *Source.fetched)

    def __init__(self, engine: Engine, threads: ThreadPoolExecutor, *of_source: Any) -> None:  # noqa: ANN401
        """Carry out nothing yet."""
        super().__init__(*of_source)
        self.engine = engine
        self.threads = threads

    async def carry_out(self, variables: dict[str, Any]) -> bool:
        """Carry a job out; say whether the step refuses."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, self._step, variables)

    def _step(self, variables: dict[str, Any]) -> bool:
        saga, item = variables["saga_key"], variables["item"]
        with Session(self.engine) as session:
            try:
                do(self.step, session, saga, item, doomed=variables["doomed"])
            except shop.NoCarrierError:
                return True
            session.commit()
        return False


def do(step: str, session: Session, saga: str, item: int, *, doomed: bool) -> None:
    """Carry out a step's work, in the transaction that is there."""
    if step == "hold_stock":
        shop.hold_stock(session, saga, item)
    elif step == "release_stock":
        shop.release_stock(session, saga, shop.StockHeld(item=item))
    elif step == "charge_card":
        shop.charge_card(session, saga, item)
    elif step == "refund_card":
        shop.refund_card(session, saga, shop.CardCharged(item=item))
    else:
        shop.book_shipment(session, saga, item, doomed)
