"""Whole sagas on the engine that `--zeebe` names: what a test says, and what it's told."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from models.inventory import Stock
from models.payments import Card, CardCharged
from models.shipping import ShipmentBooked
from sagaworks import Halt, Retry, start_saga
from sagaworks.testing import HANG, Zeebe
from tests.kit.conftest import ORDER
from workers.inventory import OutOfStock, inventory
from workers.orders import orders
from workers.payments import CardDeclined, payments

pytestmark = pytest.mark.engine

WAY = ["accept_order", "hold_stock", "charge_card", "book_shipment", "confirm_order", "ship_stock"]


def open_shop(zeebe: Zeebe) -> None:
    """Run the services with three lamps and a card, the carrier's step stubbed."""
    parcel = ShipmentBooked(parcel="p-1", sku="lamp", quantity=2)
    zeebe.stub("shipping.book_shipment", parcel)
    zeebe.stub("shipping.cancel_shipment")
    zeebe.work(orders, inventory, payments)
    with zeebe.session(inventory) as session:
        session.add(Stock(sku="lamp", available=3, received=3))
    with zeebe.session(payments) as session:
        rich = Decimal(100)
        session.add(Card(number="card-01", balance=rich, opened_with=rich))


def test_a_saga_of_stubs_goes_its_way(zeebe: Zeebe, stubbed: Callable[..., None]) -> None:
    stubbed()

    saga = zeebe.run("place_order", **ORDER)

    saga.assert_completed()
    saga.assert_trail(WAY)
    saga.assert_ended_at("order_shipped")
    assert saga.variables["sku"] == "lamp"


def test_services_work_on_databases_of_the_tests_own(zeebe: Zeebe) -> None:
    open_shop(zeebe)

    saga = zeebe.run("place_order", **ORDER)

    saga.assert_trail(WAY)
    told = [(entry["step"], entry["event"]) for entry in saga.ledger]
    assert ("hold_stock", "executed") in told
    with zeebe.session(inventory) as session:
        lamp = session.get_one(Stock, "lamp")
        assert (lamp.available, lamp.shipped) == (1, 2)


def test_the_next_test_finds_nothing_of_the_one_before(zeebe: Zeebe) -> None:
    open_shop(zeebe)

    saga = zeebe.run("place_order", key="the same key in each test", **ORDER)

    saga.assert_completed()
    with zeebe.session(inventory) as session:
        assert session.get_one(Stock, "lamp").shipped == 2


def test_a_refusal_undoes_what_was_done_last_step_first(zeebe: Zeebe) -> None:
    open_shop(zeebe)

    saga = zeebe.run("place_order", **{**ORDER, "card": "unknown"})

    saga.assert_undone("hold_stock", "accept_order")
    way = ["accept_order", "hold_stock", "charge_card refused CARD_DECLINED"]
    saga.assert_trail([*way, "release_stock", "reject_order"])
    assert [p.undoes for p in saga.trail if p.undoes] == ["hold_stock", "accept_order"]


def test_a_saga_begun_by_start_saga_is_found_by_its_key(zeebe: Zeebe) -> None:
    open_shop(zeebe)
    zeebe.deploy("bpmn/place_order.bpmn")

    start_saga(orders, "place_order", key="o-1", variables=ORDER, settings=zeebe.settings)

    zeebe.saga("o-1").assert_completed()
    assert zeebe.saga("o-1").ledger[0]["event"] == "started"


def test_a_stub_answers_in_sequence(zeebe: Zeebe, stubbed: Callable[..., None]) -> None:
    later = Retry("the bank is closed", after=timedelta(milliseconds=10))
    charged = CardCharged(charge=UUID(int=1), amount=Decimal("39.80"))
    stubbed(charge_card=[later, charged])

    saga = zeebe.run("place_order", **ORDER)

    assert saga.variables["card_charged"] == {"charge": str(UUID(int=1)), "amount": "39.80"}


def test_a_stub_may_refuse_as_the_step_would(zeebe: Zeebe, stubbed: Callable[..., None]) -> None:
    stubbed(charge_card=[CardDeclined("no money")])

    saga = zeebe.run("place_order", **ORDER)

    saga.assert_undone("hold_stock", "accept_order")
    assert saga.trail[2].message == "no money"


def test_a_stub_may_look_at_what_it_is_asked(zeebe: Zeebe, stubbed: Callable[..., None]) -> None:
    stubbed(hold_stock=[lambda asked: OutOfStock() if asked["quantity"] > 1 else None])

    few, many = (zeebe.run("place_order", **{**ORDER, "quantity": n}) for n in (1, 2))

    few.assert_completed()
    many.assert_undone("accept_order")


def test_a_stub_that_raises_is_an_incident_that_says_so(
    zeebe: Zeebe, stubbed: Callable[..., None]
) -> None:
    stubbed(hold_stock=[lambda asked: asked["no such variable"]])

    zeebe.run("place_order", **ORDER).assert_incident("KeyError: 'no such variable'")


def test_a_halt_is_an_incident_with_its_words(zeebe: Zeebe, stubbed: Callable[..., None]) -> None:
    stubbed(confirm_order=[Halt("ask the boss")])

    saga = zeebe.run("place_order", **ORDER)

    assert saga.outcome == "incident"
    saga.assert_incident("ask the boss")
    assert saga.trail[-1].fate == "incident"


def test_a_cancelled_saga_says_so(zeebe: Zeebe, stubbed: Callable[..., None]) -> None:
    stubbed(charge_card=[HANG])
    saga = zeebe.run("place_order", **ORDER).wait_for("charge_card")

    zeebe.cancel(saga)

    assert saga.outcome == "cancelled"
    saga.assert_trail(["accept_order", "hold_stock", "charge_card taken away"])


def test_an_asynchronous_test_awaits_the_saga(zeebe: Zeebe, stubbed: Callable[..., None]) -> None:
    stubbed()

    async def test() -> None:
        saga = await zeebe.run("place_order", **ORDER)
        assert saga.outcome_so_far == "completed"

    asyncio.run(test())


def test_a_worker_is_stopped_and_started_again(zeebe: Zeebe) -> None:
    open_shop(zeebe)
    zeebe.worker(orders).stop()
    saga = zeebe.run("place_order", **ORDER).wait_for("accept_order")
    assert saga.outcome_so_far is None

    zeebe.worker(orders).start()

    saga.assert_completed()
