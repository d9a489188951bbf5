from collections import Counter
from decimal import Decimal

import pytest

from demo.plan import SCARCE, SHARES, Fate, make_plan


def test_a_hundred_orders_have_the_shares_of_the_table() -> None:
    plan = make_plan(100, seed=1)

    assert Counter(order.fate for order in plan.orders) == SHARES


@pytest.mark.parametrize("count", [1, 2, 7, 10, 99, 1234])
def test_any_number_of_orders_can_be_planned(count: int) -> None:
    plan = make_plan(count, seed=1)

    assert len({order.key for order in plan.orders}) == count


@pytest.mark.parametrize("count", [7, 10, 25])
def test_few_orders_still_show_each_fate(count: int) -> None:
    assert len(list(make_plan(count, seed=1).one_of_each())) == len(Fate)


def test_the_same_seed_plans_the_same_orders() -> None:
    assert make_plan(50, seed=7) == make_plan(50, seed=7)
    assert make_plan(50, seed=7) != make_plan(50, seed=8)


def test_the_fates_come_in_no_order() -> None:
    fates = [order.fate for order in make_plan(100, seed=1).orders]

    assert fates != sorted(fates, key=list(Fate).index)


def test_not_everybody_gets_what_is_scarce() -> None:
    plan = make_plan(100, seed=1)
    wanted = sum(order.variables["sku"] == SCARCE for order in plan.orders)

    assert 0 < plan.stock[SCARCE] < wanted


def test_each_order_that_asks_its_holder_has_a_card_of_its_own() -> None:
    plan = make_plan(200, seed=1)
    asking = [order.card for order in plan.orders if order.fate in (Fate.SILENT, Fate.LATE)]

    assert len(set(asking)) == len(asking)
    assert {card.number for card in plan.cards if card.needs_approval} == set(asking)


def test_every_card_and_article_is_known_before_the_first_order() -> None:
    plan = make_plan(200, seed=1)

    assert {order.card for order in plan.orders} <= {card.number for card in plan.cards}
    assert {order.variables["sku"] for order in plan.orders} <= set(plan.stock)


def test_only_the_declined_have_too_little_on_their_card() -> None:
    plan = make_plan(100, seed=1)
    balance = {card.number: card.balance for card in plan.cards}
    spent: Counter[str] = Counter()
    for order in plan.orders:
        spent[order.card] += order.variables["amount"]

    assert all(
        balance[order.card] >= spent[order.card]
        for order in plan.orders
        if order.fate is not Fate.DECLINED
    )
    assert all(
        order.variables["amount"] > balance[order.card]
        for order in plan.orders
        if order.fate is Fate.DECLINED
    )


def test_amounts_are_exact() -> None:
    assert all(isinstance(order.variables["amount"], Decimal) for order in make_plan(9, 1).orders)
