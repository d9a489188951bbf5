"""What the demo orders: a seeded mix of fates, and the stock and cards that bring them about."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from demo.carrier_stub import NOWHERE


class Fate(StrEnum):
    """What an order is made for."""

    FINE = "goes through"
    SCARCE = "wants what few can have"
    DECLINED = "card declined"
    NO_CARRIER = "no carrier goes there"
    SILENT = "holder never approves"
    LATE = "holder approves late"
    NOTHING = "nothing ordered"


SHARES: Final = {
    Fate.FINE: 62,
    Fate.SCARCE: 10,
    Fate.DECLINED: 9,
    Fate.NO_CARRIER: 8,
    Fate.SILENT: 3,
    Fate.LATE: 4,
    Fate.NOTHING: 4,
}
"""How many of a hundred orders are made for which fate."""

PRICES: Final = {
    "lamp": Decimal("19.90"),
    "chair": Decimal("74.50"),
    "table": Decimal("249.00"),
    "vase": Decimal("9.99"),
}
SCARCE: Final = "chandelier"
PRICE_OF_SCARCE: Final = Decimal("1200.00")

RICH_CARDS: Final = tuple(f"card-{number:02}" for number in range(1, 21))
POOR_CARD: Final = "card-broke"

PATIENCE_WITH_HOLDERS: Final = "PT3S"
"""`pay_within` of the orders whose holder never approves, so that nobody waits two minutes."""


F = TypeVar("F", bound=StrEnum)


@dataclass(frozen=True)
class PlannedSaga:
    """One order or trip: its key, what it's made for, and the variables its saga starts with."""

    key: str
    fate: StrEnum
    variables: dict[str, object]

    @property
    def card(self) -> str:
        """The card that pays."""
        return str(self.variables["card"])


@dataclass(frozen=True)
class PlannedCard:
    """A card as it is opened."""

    number: str
    balance: Decimal
    needs_approval: bool = False


@dataclass(frozen=True)
class Plan:
    """All orders, and what the shelves and cards hold before the first of them."""

    orders: tuple[PlannedSaga, ...]

    @property
    def stock(self) -> dict[str, int]:
        """Units by article: plenty of each, but the scarce one for a third of those who want it."""
        wanted = sum(order.fate is Fate.SCARCE for order in self.orders)
        plenty = 100 + 5 * len(self.orders)
        return {**dict.fromkeys(PRICES, plenty), SCARCE: max(1, wanted // 3)}

    @property
    def cards(self) -> tuple[PlannedCard, ...]:
        """The cards; who must approve has a card of their own."""
        asking = [
            PlannedCard(order.card, Decimal(5000), needs_approval=True)
            for order in self.orders
            if order.fate in (Fate.SILENT, Fate.LATE)
        ]
        return (*rich_and_poor(len(self.orders)), *asking)

    def one_of_each(self) -> list[PlannedSaga]:
        """The first order of each fate, for whoever wants to look closer."""
        return first_of_each(self.orders)


def make_plan(count: int, seed: int, prefix: str = "order") -> Plan:
    """Plan `count` orders; the same seed plans the same ones."""
    dice = random.Random(seed)  # noqa: S311  repeatable, and no secret
    return Plan(
        tuple(
            PlannedSaga(key, fate, _variables(key, fate, dice))
            for key, fate in dealt(count, SHARES, prefix, dice)
        )
    )


def dealt(
    count: int, shares: Mapping[F, int], prefix: str, dice: random.Random
) -> Iterator[tuple[str, F]]:
    """Yield so many business keys, in order, each with a fate: all shares are kept."""
    fates = list(shared_out(count, shares).elements())
    dice.shuffle(fates)
    width = max(4, len(str(count)))
    for number, fate in enumerate(fates, start=1):
        yield f"{prefix}-{number:0{width}}", fate


def rich_and_poor(count: int) -> tuple[PlannedCard, ...]:
    """Return the cards that need no approval: enough on all but one for so many sagas."""
    plenty = Decimal(2000) * (count + 10)
    rich = [PlannedCard(number, plenty) for number in RICH_CARDS]
    return (*rich, PlannedCard(POOR_CARD, Decimal("1.00")))


def first_of_each(sagas: Iterable[PlannedSaga]) -> list[PlannedSaga]:
    """Return the first one of each fate."""
    first: dict[str, PlannedSaga] = {}
    for saga in sagas:
        first.setdefault(saga.fate, saga)
    return list(first.values())


def shared_out(count: int, shares: Mapping[F, int]) -> Counter[F]:
    """Share out `count`: one of each where there is room, then to whoever lags its share most."""
    taken = Counter(shares.keys() if count >= len(shares) else ())
    for _ in range(count - taken.total()):
        taken[max(shares, key=lambda fate: shares[fate] * count - 100 * taken[fate])] += 1
    return taken


def _variables(key: str, fate: Fate, dice: random.Random) -> dict[str, object]:
    sku = SCARCE if fate is Fate.SCARCE else dice.choice(list(PRICES))
    quantity = 1 if fate is Fate.SCARCE else dice.randint(1, 4)
    variables: dict[str, object] = {
        "sku": sku,
        "quantity": 0 if fate is Fate.NOTHING else quantity,
        "amount": PRICES.get(sku, PRICE_OF_SCARCE) * quantity,
        "card": _card(key, fate, dice),
        "address": NOWHERE if fate is Fate.NO_CARRIER else f"Main Street {dice.randint(1, 99)}",
    }
    if fate is Fate.SILENT:
        variables["pay_within"] = PATIENCE_WITH_HOLDERS
    return variables


def _card(key: str, fate: Fate, dice: random.Random) -> str:
    if fate is Fate.DECLINED:
        return POOR_CARD
    if fate in (Fate.SILENT, Fate.LATE):
        return f"card-of-{key}"
    return dice.choice(RICH_CARDS)
