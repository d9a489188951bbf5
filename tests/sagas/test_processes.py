"""place_order by worker processes on the broker: they are killed, and the books add up."""

import asyncio
from io import StringIO

import pytest
from rich.console import Console

from demo.books import prove
from demo.live import showing
from demo.placing import Placing
from demo.plan import SCARCE
from sagaworks.audit import Picture, Scope, look
from sagaworks.audit.picture import all_books
from tests.sagas.shop import Shop, wait_until

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
    """Whatever the tests before did, nothing was lost or done twice."""
    for key in shop.placed:
        shop.ended(key)

    assert [line.text for line in prove(shop.books()) if not line.holds] == []


def test_after_all_of_this_ledgers_and_engine_agree(shop: Shop) -> None:
    """The last test of this file: workers were killed, and the reconcilers have settled it."""
    services = {*shop.system.saga.services}
    scope = Scope(newest=200)

    def look_again() -> Picture:
        picture = Picture()
        with all_books(shop.system.project, shop.settings, picture, scope) as (history, books):
            look(history, books, picture, scope)
        return picture

    wait_until(lambda: not look_again().differences, lambda: look_again().as_json())
    assert services <= {*look_again().asked}
