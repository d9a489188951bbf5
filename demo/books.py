"""The books after the last order: what each service says it has, and whether it all adds up."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rich import box
from rich.table import Table

from demo.readings import Readings
from models.inventory import InventoryBooks
from models.orders import OrderBooks, OrderStatus
from models.payments import PaymentBooks
from models.shipping import ShippingBooks


@dataclass(frozen=True)
class Books:
    """The totals of the four services and of the carrier.

    Attributes:
        placed: sagas started.
        turned_away: of these, the ones that the orders service refused before taking them in.
        lost: keys of orders that nobody knows anything of.
    """

    placed: int
    turned_away: int
    lost: tuple[str, ...]
    orders: OrderBooks
    inventory: InventoryBooks
    payments: PaymentBooks
    shipping: ShippingBooks
    carrier: dict[str, int]


class Line(NamedTuple):
    """One line of the proof."""

    holds: bool
    text: str


def read_books(readings: Readings, keys: Iterable[str]) -> Books:
    """Ask everyone; `keys` are the orders that were placed."""
    placed = list(keys)
    known = {state["order"] for state in readings.query("orders", "list_orders")}
    unknown = [key for key in placed if key not in known]
    away = {key for key in unknown if was_turned_away(readings, key)}
    return Books(
        placed=len(placed),
        turned_away=len(away),
        lost=tuple(key for key in unknown if key not in away),
        orders=OrderBooks.model_validate(readings.query("orders", "books")),
        inventory=InventoryBooks.model_validate(readings.query("inventory", "books")),
        payments=PaymentBooks.model_validate(readings.query("payments", "books")),
        shipping=ShippingBooks.model_validate(readings.query("shipping", "books")),
        carrier=readings.carrier(),
    )


def was_turned_away(readings: Readings, key: str) -> bool:
    """Say whether the orders service refused the order at its first step."""
    return any(entry["event"] == "refused" for entry in readings.ledger("orders", key))


def unfinished(readings: Readings, keys: Iterable[str]) -> list[str]:
    """Return the orders that have no end yet, as the orders service sees it."""
    states = readings.query("orders", "list_orders")
    status = {state["order"]: state["status"] for state in states}
    return [
        key
        for key in keys
        if status.get(key) == OrderStatus.ACCEPTED
        or (key not in status and not was_turned_away(readings, key))
    ]


def prove(books: Books) -> list[Line]:
    """Check that nothing was lost, done twice or left half done."""
    return [*_ends(books), *_stock(books.orders, books.inventory), *_money(books), *_parcels(books)]


def _ends(books: Books) -> Iterator[Line]:
    orders, away = books.orders, books.turned_away
    yield Line(
        books.placed == orders.confirmed + orders.rejected + away and not orders.accepted,
        f"every order has one end: {books.placed} placed = {orders.confirmed} confirmed "
        f"+ {orders.rejected} rejected + {away} turned away",
    )
    if books.lost:
        yield Line(
            holds=False, text=f"nobody knows {len(books.lost)}, such as {', '.join(books.lost[:3])}"
        )


def _stock(orders: OrderBooks, stock: InventoryBooks) -> Iterator[Line]:
    yield Line(
        stock.received == stock.available + stock.held + stock.shipped,
        f"stock adds up: {stock.received} received = {stock.available} on the shelf "
        f"+ {stock.held} held + {stock.shipped} shipped",
    )
    yield Line(stock.held == 0, f"nothing is held any more: {stock.held} units held")
    yield Line(
        stock.shipped == orders.units_confirmed,
        f"what was promised was shipped: {orders.units_confirmed} units promised, "
        f"{stock.shipped} shipped",
    )


def _money(books: Books) -> Iterator[Line]:
    money, kept = books.payments, books.payments.charged - books.payments.refunded
    yield money_adds_up(money)
    yield Line(
        kept == books.orders.money_confirmed,
        f"who was promised goods has paid, nobody else: {books.orders.money_confirmed} promised, "
        f"{kept} kept",
    )
    yield Line(
        money.charges - money.refunds == books.orders.confirmed,
        f"one charge for each confirmed order: {books.orders.confirmed} confirmed, "
        f"{money.charges} charges - {money.refunds} refunds",
    )


def money_adds_up(money: PaymentBooks) -> Line:
    """Compare what the cards had at first with what is on them and what was kept."""
    return Line(
        money.opened_with == money.on_cards + money.charged - money.refunded,
        f"money adds up: {money.opened_with} at first = {money.on_cards} on cards "
        f"+ {money.charged} charged - {money.refunded} refunded",
    )


def _parcels(books: Books) -> Iterator[Line]:
    ours, theirs = books.shipping, books.carrier
    yield Line(
        (ours.booked, ours.cancelled) == (theirs["booked"], theirs["cancelled"]),
        f"we and the carrier agree: {ours.booked} booked and {ours.cancelled} cancelled here, "
        f"{theirs['booked']} and {theirs['cancelled']} there",
    )
    yield Line(
        theirs["booked"] - theirs["cancelled"] == books.orders.confirmed,
        f"one parcel for each confirmed order: {books.orders.confirmed} confirmed, "
        f"{theirs['booked']} booked - {theirs['cancelled']} cancelled",
    )


def draw_books(books: Books) -> Table:
    """Return the books as a table."""
    table = Table(box=box.SIMPLE_HEAD, title="The books", title_justify="left", pad_edge=False)
    table.add_column("service")
    table.add_column("what it says")
    orders, stock, money = books.orders, books.inventory, books.payments
    table.add_row(
        "orders",
        f"{orders.confirmed} confirmed, {orders.rejected} rejected, {orders.accepted} open, "
        f"{books.turned_away} turned away",
    )
    table.add_row(
        "inventory", f"{stock.available} available, {stock.held} held, {stock.shipped} shipped"
    )
    table.add_row(
        "payments",
        f"{money.charges} charges of {money.charged}, {money.refunds} refunds of {money.refunded}",
    )
    table.add_row(
        "shipping", f"{books.shipping.booked} booked, {books.shipping.cancelled} cancelled"
    )
    table.add_row(
        "carrier (simulated)",
        f"{books.carrier['booked']} booked, {books.carrier['cancelled']} cancelled, "
        f"{books.carrier['busy']} calls answered 503, {books.carrier['repeated']} came twice",
    )
    return table
