"""The whole saga on a real engine, with each fate that an order can meet."""

import pytest

from sagaworks.testing import RunningSaga, Zeebe
from workers.inventory import available, inventory
from workers.payments import payments


@pytest.fixture(autouse=True)
def services(zeebe: Zeebe) -> None:
    """Both services work, each on a fresh database; its migrations leave ten lamps on the shelf."""
    zeebe.work(inventory, payments)


def place(zeebe: Zeebe, *, quantity: int = 2, amount_cents: int = 4_000) -> RunningSaga:
    """Place an order for lamps; the card is good for 100.00."""
    return zeebe.run(
        "place_order", sku="lamp", quantity=quantity, card="card-1", amount_cents=amount_cents
    )


def lamps_left(zeebe: Zeebe) -> int:
    with zeebe.session(inventory) as session:
        return available(session, sku="lamp")


def test_an_order_is_paid(zeebe: Zeebe) -> None:
    saga = place(zeebe, quantity=2)

    saga.assert_completed()
    saga.assert_trail(["hold_stock", "charge_card"])
    assert lamps_left(zeebe) == 8


def test_a_declined_card_gives_the_stock_back(zeebe: Zeebe) -> None:
    saga = place(zeebe, amount_cents=10_001)

    saga.assert_undone("hold_stock")
    saga.assert_trail(["hold_stock", "charge_card refused CARD_DECLINED", "release_stock"])
    assert lamps_left(zeebe) == 10


def test_an_empty_shelf_charges_nobody(zeebe: Zeebe) -> None:
    saga = place(zeebe, quantity=11)

    saga.assert_trail(["hold_stock refused OUT_OF_STOCK"])
    assert lamps_left(zeebe) == 10
