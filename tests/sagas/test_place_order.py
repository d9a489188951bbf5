"""place_order on the real engine, with every fate that an order can meet."""

import asyncio
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from pyzeebe.proto import gateway_pb2 as pb
from rich.console import Console

from demo.books import prove
from demo.live import showing
from demo.placing import PROCESS, Placing
from demo.plan import SCARCE
from sagaworks import SagaworksError
from sagaworks.runtime.gateway import Gateway
from tests.sagas.shop import ORDER, Shop, wait_until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]  # seconds; half of it is waiting


def test_an_order_goes_through(shop: Shop, key: str) -> None:
    started = shop.place(key)

    assert started.new
    assert shop.ended(key) == [
        ("accept_order", "executed"),
        ("hold_stock", "executed"),
        ("charge_card", "executed"),
        ("book_shipment", "intended"),
        ("book_shipment", "executed"),
        ("confirm_order", "executed"),
        ("ship_stock", "executed"),
    ]


@pytest.mark.parametrize("changes", [{"quantity": 0}, {"quantity": -3}, {"amount": Decimal(0)}])
def test_an_order_for_nothing_is_turned_away(shop: Shop, key: str, changes: dict[str, Any]) -> None:
    shop.place(key, **changes)

    assert shop.ended(key) == [("accept_order", "refused")]


@pytest.mark.parametrize("changes", [{"quantity": 1_000_000}, {"sku": "unicorn"}])
def test_an_order_for_more_than_there_is_is_rejected(
    shop: Shop, key: str, changes: dict[str, Any]
) -> None:
    shop.place(key, **changes)

    assert shop.ended(key) == [
        ("accept_order", "executed"),
        ("hold_stock", "refused"),
        ("accept_order", "undone"),
    ]


def test_a_declined_card_gives_the_stock_back(shop: Shop, key: str) -> None:
    shop.place(key, card="card-broke")

    assert shop.ended(key) == [
        ("accept_order", "executed"),
        ("hold_stock", "executed"),
        ("charge_card", "refused"),
        ("hold_stock", "undone"),
        ("accept_order", "undone"),
    ]


def test_an_order_that_no_carrier_takes_is_undone_last_step_first(shop: Shop, key: str) -> None:
    shop.place(key, address="nowhere")

    assert shop.ended(key) == [
        ("accept_order", "executed"),
        ("hold_stock", "executed"),
        ("charge_card", "executed"),
        ("book_shipment", "intended"),
        ("book_shipment", "refused"),
        ("charge_card", "undone"),
        ("hold_stock", "undone"),
        ("accept_order", "undone"),
    ]


def test_a_holder_who_does_not_approve_in_time_gets_no_goods(shop: Shop, key: str) -> None:
    shop.open_card(key[-30:])

    shop.place(key, card=key[-30:], pay_within="PT1S")

    assert shop.ended(key) == [
        ("accept_order", "executed"),
        ("hold_stock", "executed"),
        ("hold_stock", "undone"),
        ("accept_order", "undone"),
    ]


def test_a_holder_who_approves_late_but_in_time_gets_the_goods(shop: Shop, key: str) -> None:
    shop.open_card(key[-30:])
    shop.place(key, card=key[-30:])
    wait_until(lambda: f"{key} charge_card #1 retry" in shop.log("payments"), lambda: "no try")

    shop.approve(key[-30:])

    assert shop.ended(key)[-1] == ("ship_stock", "executed")


def test_a_refusal_after_the_booking_cancels_the_shipment_too(shop: Shop, key: str) -> None:
    """No step does that today, so the test plays the orders service and refuses to confirm."""
    shop.open_card(key[-30:])
    shop.place(key, card=key[-30:])
    wait_until(lambda: ("hold_stock", "executed") in shop.trail(key), lambda: "not held")
    shop.kill("orders")
    try:
        shop.approve(key[-30:])
        shop.ask_engine(lambda gateway: _refuse(gateway, "orders.confirm_order"))
    finally:
        shop.revive("orders")

    assert [step for step, event in shop.ended(key) if event == "undone"] == [
        "book_shipment",
        "charge_card",
        "hold_stock",
        "accept_order",
    ]


async def _refuse(gateway: Gateway, job_type: str) -> None:
    poll = pb.ActivateJobsRequest(
        type=job_type, worker="test", timeout=10_000, maxJobsToActivate=1, requestTimeout=20_000
    )
    async for answer in gateway.stub.ActivateJobs(poll, timeout=30):
        for job in answer.jobs:
            refusal = pb.ThrowErrorRequest(jobKey=job.key, errorCode="CUSTOMER_GONE")
            await gateway.stub.ThrowError(refusal, timeout=10)
            return
    raise AssertionError("no job came")


def test_a_key_is_one_saga_however_often_it_is_started(shop: Shop, key: str) -> None:
    first = shop.place(key)
    again = shop.place(key)
    shop.ended(key)
    afterwards = shop.place(key)
    shop.placed = [*dict.fromkeys(shop.placed)]

    assert (first.new, again.new, afterwards.new) == (True, False, False)
    assert {again.process_instance, afterwards.process_instance} == {first.process_instance}
    assert [step for step, _ in shop.trail(key)].count("accept_order") == 1


def test_a_key_with_other_variables_is_refused_with_both_digests(shop: Shop, key: str) -> None:
    shop.place(key)

    with pytest.raises(SagaworksError, match=r"[0-9a-f]{64} then, [0-9a-f]{64} now"):
        shop.place(key, quantity=3)

    shop.placed.pop()
    shop.ended(key)


def test_a_second_instance_with_the_same_key_touches_nothing(shop: Shop, key: str) -> None:
    shop.place(key)
    shop.ended(key)

    stray = shop.ask_engine(lambda g: g.create(PROCESS, {**PLAIN, "saga_key": key}))

    wait_until(lambda: "belongs to process instance" in shop.log("orders"), lambda: "no word")
    shop.ask_engine(lambda gateway: gateway.cancel(stray))
    assert [step for step, _ in shop.trail(key)].count("accept_order") == 1


PLAIN = {**ORDER, "amount": "39.80"}


@pytest.mark.parametrize(
    "variables, complaint",
    [
        (PLAIN, "saga_key"),
        ({**PLAIN, "saga_key": "wrong-type", "quantity": "two"}, "quantity"),
        ({**PLAIN, "saga_key": "part-of-a-cent", "amount": "0.001"}, "2 decimal places"),
        ({**PLAIN, "saga_key": "missing", "sku": None}, "sku"),
    ],
)
def test_variables_that_no_step_can_read_are_an_incident_that_names_them(
    shop: Shop, variables: dict[str, Any], complaint: str
) -> None:
    before = len(shop.log("orders"))

    stray = shop.ask_engine(lambda gateway: gateway.create(PROCESS, variables))

    wait_until(
        lambda: any(
            "halted" in line and complaint in line
            for line in shop.log("orders")[before:].splitlines()
        ),
        lambda: shop.log("orders")[before:],
    )
    shop.ask_engine(lambda gateway: gateway.cancel(stray))


@pytest.mark.parametrize("service", ["orders", "inventory", "payments", "shipping"])
def test_orders_survive_the_death_of_a_worker(shop: Shop, key: str, service: str) -> None:
    """Killed in the midst of its jobs; what it had done is not done again by the next one."""
    keys = [f"{key}-{number}" for number in range(8)]
    for number, one in enumerate(keys):
        shop.place(one, address="nowhere" if number % 3 == 0 else "Main Street 1")

    shop.kill(service)
    shop.revive(service)

    for number, one in enumerate(keys):
        last = ("accept_order", "undone") if number % 3 == 0 else ("ship_stock", "executed")
        assert shop.ended(one)[-1] == last


def test_a_whole_plan_of_mixed_fates_comes_to_its_end(shop: Shop) -> None:
    placing = Placing(shop.plan, shop.settings, shop.readings, check=shop.system.check)
    shop.placed += [order.key for order in shop.plan.orders]

    with showing(Console(file=StringIO())) as show:
        asyncio.run(placing.run(show))

    shipped = sum(("ship_stock", "executed") in shop.trail(o.key) for o in shop.plan.orders)
    assert 0 < shipped < len(shop.plan.orders)
    wanted = [o for o in shop.plan.orders if o.variables["sku"] == SCARCE]
    got = [o for o in wanted if ("ship_stock", "executed") in shop.trail(o.key)]
    assert len(got) == shop.plan.stock[SCARCE]


def test_after_all_of_this_the_books_add_up(shop: Shop) -> None:
    """The last test of this file: whatever the ones before did, nothing was lost or done twice."""
    for key in shop.placed:
        shop.ended(key)

    assert [line.text for line in prove(shop.books()) if not line.holds] == []
