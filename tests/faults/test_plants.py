"""Workers with a mistake planted in them, and which of the things that can break show it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from sagaworks import Service
from sagaworks.ledger.call import Delivery
from sagaworks.runtime import handler
from sagaworks.runtime.deliveries import delivery_of
from sagaworks.runtime.handler import Handler
from sagaworks.runtime.locks import HeldJob
from sagaworks.saga import JobKey
from sagaworks.testing import ScriptedGateway
from sagaworks.testing.faults import Faults
from sagaworks.testing.faults.kinds import Kind, kinds
from tests.faults.plain import PlainWorker
from tests.runtime.shop import Effect, StockHeld, new_shop

pytestmark = pytest.mark.anyio

HOLD_STOCK = "shop.hold_stock"
LAMP = {"sku": "lamp"}

BEFORE_COMMIT = {
    "dies-before-BEGIN",
    "dies-after-the-claim",
    "dies-after-the-effect",
    "dies-before-COMMIT",
}
COMES_AGAIN = {"delivered-twice", "delivered-at-once", "delivered-late", "under-another-key"}

Plant = Callable[[Service, list[str], pytest.MonkeyPatch], None]
"""Declares the step and plants the mistake; the list is what it does outside its database."""


def nothing(service: Service, outside: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    @service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        session.add(Effect(sku=sku))
        return StockHeld(sku=sku, quantity=1)


def an_effect_outside_the_transaction(
    service: Service, outside: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        outside.append(sku)
        return StockHeld(sku=sku, quantity=1)


def a_ledger_keyed_on_the_job(
    service: Service, outside: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing(service, outside, monkeypatch)

    def keyed(task: Any, job: Any, **more: Any) -> Delivery:
        delivery = delivery_of(task, job, **more)
        return replace(delivery, arrival=replace(delivery.arrival, each=str(job.key)))

    monkeypatch.setattr(handler, "delivery_of", keyed)


def a_report_before_the_commit(
    service: Service, outside: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing(service, outside, monkeypatch)
    carry_out = Handler._carry_out

    async def report_first(self: Handler, held: HeldJob, delivery: Delivery, attempt: int) -> None:
        await self._reports._commands.complete(JobKey(held.key), b"{}", seconds=5)
        await carry_out(self, held, delivery, attempt)

    monkeypatch.setattr(Handler, "_carry_out", report_first)


async def shown_by(plant: Plant, kind: Kind, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Let one job be carried out while this breaks; say whether its effect isn't there once."""
    outside: list[str] = []
    async with ScriptedGateway() as gateway:
        faults = Faults(gateway.address, seed=1)
        (folder / kind.name).mkdir()
        shop = new_shop(gateway, folder / kind.name)
        with monkeypatch.context() as planting:
            plant(shop.service, outside, planting)
            kind.arrange(faults)
            stop = asyncio.Event()
            running = asyncio.create_task(faults.mortal(shop.service, shop.settings).run(stop))
            with suppress(TimeoutError):
                await gateway.offer(HOLD_STOCK, LAMP).settled(timeout=3)
            stop.set()
            await running
        faults.close()
        shop.store.close()
        return [*shop.effects(), *outside] != ["lamp"]


@pytest.mark.parametrize(
    "plant, shown",
    [
        (nothing, set()),
        (an_effect_outside_the_transaction, {"dies-after-the-effect", "dies-before-COMMIT"}),
        (a_ledger_keyed_on_the_job, {"under-another-key"}),
        (a_report_before_the_commit, BEFORE_COMMIT),
    ],
)
async def test_a_planted_mistake_is_brought_to_light(
    plant: Plant, shown: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {kind.name for kind in kinds() if await shown_by(plant, kind, tmp_path, monkeypatch)}

    assert found >= shown if shown else not found


async def test_a_worker_that_remembers_nothing_is_brought_to_light() -> None:
    found = set()
    for kind in kinds():
        async with ScriptedGateway() as gateway:
            faults = Faults(gateway.address, seed=1)
            kind.arrange(faults)
            worker = PlainWorker(HOLD_STOCK)
            async with worker.open(faults.address, streams=True):
                await gateway.offer(HOLD_STOCK, LAMP).settled()
            faults.close()
        if worker.effects != ["lamp"]:
            found.add(kind.name)

    assert found == COMES_AGAIN | {"report-lost"}
