"""The same contracts for `async def` steps: each task is tried as its own twin that awaits."""

import asyncio
import copy
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from sagaworks import SagaworksError, Service
from sagaworks.ledger import bridge
from sagaworks.ledger.answers import Answer, Outcome
from sagaworks.ledger.protocol import Ledger
from sagaworks.ledger.store import Store
from sagaworks.ledger.turns import Held
from tests.stores import async_shop
from tests.stores.shop import (
    Shelf,
    ShipmentBooked,
    fresh_carrier,
    hold_stock,
)
from tests.stores.steps import LAMP
from tests.stores.world import ORDER, Task, World, delivery_to


class AwaitingWorld(World):
    """A worker that has everything carried out by `async def` twins, on a driver that awaits."""

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
        """Hand a job to the ledger in an event loop of its own: some tests deliver in a step."""
        delivery = delivery_to(
            task, variables, job=job, saga=saga, instance=instance, headers=headers
        )
        work = lambda ledger: ledger.run(twin_of(task), delivery, held)  # noqa: E731
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, self.awaited(work)).result()

    async def awaited(self, *work: Callable[[Ledger], Answer]) -> Any:
        """Do work with a ledger that awaits, all at once; return the only, or every, answer."""
        store = Store(self.url, **self.options, awaits=True)
        ledger = Ledger(store, self.engine.probe, bridge.pause)
        try:
            runs = [bridge.run(partial(one, ledger)) for one in work]
            answers = await asyncio.gather(*runs)
        finally:
            await bridge.run(store.close)
        return answers[0] if len(answers) == 1 else answers


def twin_of(task: Task) -> Task:
    """Return the task as an `async def` that does the same."""
    if task.is_async:
        return task
    twin = copy.copy(task)
    twin.function = awaiting(task.function, task.signature.session)
    twin.is_async = True
    return twin


def awaiting(function: Callable[..., Any], session: str | None) -> Callable[..., Any]:
    async def run(**given: Any) -> Any:
        if session is None:
            await asyncio.sleep(0)
            return function(**given)
        its = given.pop(session)
        assert isinstance(its, AsyncSession)
        return await its.run_sync(lambda plain: function(**given, **{session: plain}))

    return run


class Awaiting:
    """Inherited before a contract: its world awaits."""

    @pytest.fixture
    def world(self, database_url: str) -> Iterator[World]:
        fresh_carrier()
        world = AwaitingWorld(database_url)
        yield world
        world.close()


class AsyncContract(Awaiting):
    """What is `async def` steps' own."""

    def test_an_async_step_works_with_its_session_as_its_author_wrote_it(
        self, world: AwaitingWorld
    ) -> None:
        world.stock(count=2)
        hold_stock, release_stock = async_shop.hold_stock, async_shop.release_stock

        outcomes = [
            world.deliver(hold_stock, LAMP, job=1).outcome,
            world.deliver(hold_stock, LAMP, job=1).outcome,
            world.deliver(
                hold_stock, {**LAMP, "quantity": 5}, job=2, saga="o-2", instance=2
            ).outcome,
            world.deliver(release_stock, job=3).outcome,
        ]

        assert outcomes == [
            Outcome.EXECUTED,
            Outcome.REPLAYED,
            Outcome.REFUSED,
            Outcome.COMPENSATED,
        ]
        assert world.available == 2

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    def test_an_async_step_can_not_end_the_transaction(
        self, world: AwaitingWorld, end: str
    ) -> None:
        world.stock()
        service = Service("shop")

        @service.step
        async def take(session: AsyncSession) -> None:
            (await session.get_one(Shelf, "lamp")).available = 0
            await getattr(session, end)()

        with pytest.raises(SagaworksError, match="a step can't"):
            world.deliver(take)

        assert world.available == 1
        assert world.rows == []

    def test_an_async_remote_step_awaits_its_partner(self, world: AwaitingWorld) -> None:
        service = Service("shop")
        called = []

        @service.remote_step
        async def book_shipment(address: str) -> ShipmentBooked:
            await asyncio.sleep(0)
            called.append(address)
            return ShipmentBooked(number="7")

        @book_shipment.record
        def keep(session: Session, booked: ShipmentBooked) -> None:
            session.add(Shelf(sku=booked.number, available=1))

        answer = world.deliver(book_shipment, {"address": "Main Street"})

        assert answer.outcome is Outcome.EXECUTED
        assert called == ["Main Street"]

    def test_steps_that_wait_in_one_event_loop_do_not_wait_for_each_other(
        self, world: AwaitingWorld
    ) -> None:
        """Two remote calls that each end when both have begun."""
        service = Service("shop")
        both = []

        @service.remote_step
        async def meet(name: str) -> None:
            both.append(name)
            while len(both) < 2:  # noqa: ASYNC110  the other one is what is waited for
                await asyncio.sleep(0.001)

        def coming(n: int) -> Callable[[Ledger], Answer]:
            delivery = delivery_to(meet, {"name": str(n)}, job=n, saga=f"order-{n}", instance=n)
            return lambda ledger: ledger.run(meet, delivery)

        answers = asyncio.run(asyncio.wait_for(world.awaited(coming(1), coming(2)), 20))

        assert [answer.outcome for answer in answers] == [Outcome.EXECUTED] * 2

    def test_simultaneous_deliveries_in_one_event_loop_are_one_execution(
        self, world: AwaitingWorld
    ) -> None:
        for n in range(1, 6):
            world.stock(f"lamp-{n}")
            variables = {"sku": f"lamp-{n}", "quantity": 1}
            delivery = delivery_to(hold_stock, variables, job=n, saga=f"order-{n}", instance=n)
            run = lambda ledger, at=delivery: ledger.run(twin_of(hold_stock), at)  # noqa: E731

            answers = asyncio.run(world.awaited(run, run, run, run))

            outcomes = [answer.outcome for answer in answers]
            assert sorted(outcomes) == [Outcome.EXECUTED] + [Outcome.REPLAYED] * 3
