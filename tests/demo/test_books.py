"""The proof must see each way in which the books can be wrong."""

from dataclasses import replace
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from demo.books import Books, draw_books, prove
from models.inventory import InventoryBooks
from models.orders import OrderBooks
from models.payments import PaymentBooks
from models.shipping import ShippingBooks

GOOD = Books(
    placed=10,
    turned_away=1,
    lost=(),
    orders=OrderBooks(
        accepted=0, confirmed=6, rejected=3, units_confirmed=12, money_confirmed=Decimal("60.30")
    ),
    inventory=InventoryBooks(available=88, held=0, shipped=12, received=100),
    payments=PaymentBooks(
        opened_with=Decimal(1000),
        on_cards=Decimal("939.70"),
        charged=Decimal("70.30"),
        refunded=Decimal(10),
        charges=7,
        refunds=1,
    ),
    shipping=ShippingBooks(booked=7, cancelled=1),
    carrier={"booked": 7, "cancelled": 1, "busy": 2, "repeated": 2},
)


def failing(books: Books) -> list[str]:
    return [line.text.partition(":")[0] for line in prove(books) if not line.holds]


def changed(books: Books, part: str, **changes: object) -> Books:
    return replace(books, **{part: getattr(books, part).model_copy(update=changes)})


def test_good_books_hold_line_by_line() -> None:
    assert failing(GOOD) == []


@pytest.mark.parametrize(
    "part, changes, broken",
    [
        ("orders", {"accepted": 1}, {"every order has one end"}),
        ("orders", {"rejected": 2}, {"every order has one end"}),
        (
            "inventory",
            {"held": 2, "available": 86},
            {"nothing is held any more"},
        ),
        ("inventory", {"available": 87}, {"stock adds up"}),
        (
            "inventory",
            {"shipped": 11, "available": 89},
            {"what was promised was shipped"},
        ),
        ("payments", {"on_cards": Decimal("939.69")}, {"money adds up"}),
        (
            "payments",
            {"refunded": Decimal(0), "on_cards": Decimal("929.70")},
            {"who was promised goods has paid, nobody else"},
        ),
        ("payments", {"charges": 8}, {"one charge for each confirmed order"}),
        ("shipping", {"booked": 8}, {"we and the carrier agree"}),
    ],
)
def test_each_fault_is_told_by_its_line(
    part: str, changes: dict[str, Any], broken: set[str]
) -> None:
    assert set(failing(changed(GOOD, part, **changes))) == broken


def test_a_parcel_that_only_the_carrier_knows_is_told() -> None:
    books = replace(GOOD, carrier={**GOOD.carrier, "booked": 8})

    assert failing(books) == ["we and the carrier agree", "one parcel for each confirmed order"]


def test_an_order_that_nobody_knows_is_named() -> None:
    books = replace(GOOD, placed=11, lost=("order-0007",))

    assert any("order-0007" in line.text for line in prove(books) if not line.holds)


def test_the_table_has_a_row_for_each_service_and_the_carrier() -> None:
    console = Console(width=100, file=StringIO())
    console.print(draw_books(GOOD))
    shown = console.file.getvalue()

    for name in ("orders", "inventory", "payments", "shipping", "carrier (simulated)"):
        assert name in shown
