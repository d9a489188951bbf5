"""What the demo books: a seeded mix of trips, and the seats, rooms and cards that they meet."""

import random
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from demo.plan import (
    POOR_CARD,
    RICH_CARDS,
    PlannedCard,
    PlannedSaga,
    dealt,
    first_of_each,
    rich_and_poor,
)
from demo.rental_stub import ALWAYS_OUT


class Fate(StrEnum):
    """What a trip is made for."""

    FINE = "goes through"
    NO_SEAT = "one traveller gets no seat"
    NO_ROOM = "hotel is full"
    DECLINED = "card declined"
    NO_CAR = "a person finds another car"
    SILENT = "hotel never confirms"
    CANCELLED = "cancelled while the hotel is awaited"
    NOBODY = "nobody travels"


SHARES: Final = {
    Fate.FINE: 55,
    Fate.NO_SEAT: 9,
    Fate.NO_ROOM: 8,
    Fate.DECLINED: 8,
    Fate.NO_CAR: 8,
    Fate.SILENT: 4,
    Fate.CANCELLED: 4,
    Fate.NOBODY: 4,
}
"""How many of a hundred trips are made for which fate."""

FLIGHTS: Final = ("SG-101", "SG-204", "SG-307")
SMALL_PLANE: Final = "SG-002"
"""It has two seats, and three want to go."""

HOTELS: Final = ("Sea View", "Old Mill", "Grand Central")
FULL_HOTEL: Final = "Lighthouse"
CAR_CLASSES: Final = ("compact", "estate", "van")
NAMES: Final = ("Ada", "Grace", "Mary", "Alan", "Edsger", "Barbara")
A_HEAD: Final = Decimal("240.00")

PATIENCE_WITH_HOTELS: Final = "PT3S"
"""`confirm_within` of the trips whose hotel never confirms, so that nobody waits two hours."""


@dataclass(frozen=True)
class TripPlan:
    """All trips, and what is free before the first of them."""

    orders: tuple[PlannedSaga, ...]

    @property
    def seats(self) -> dict[str, int]:
        """Seats by flight: plenty, but on the small plane."""
        return {**dict.fromkeys(FLIGHTS, 100 + 5 * len(self.orders)), SMALL_PLANE: 2}

    @property
    def rooms(self) -> dict[str, int]:
        """Rooms by hotel: plenty, but in the full one."""
        return {**dict.fromkeys(HOTELS, 100 + 3 * len(self.orders)), FULL_HOTEL: 0}

    @property
    def cards(self) -> tuple[PlannedCard, ...]:
        """The cards: enough on all but one."""
        return rich_and_poor(len(self.orders))

    def one_of_each(self) -> list[PlannedSaga]:
        """The first trip of each fate, for whoever wants to look closer."""
        return first_of_each(self.orders)


def make_plan(count: int, seed: int, prefix: str = "trip") -> TripPlan:
    """Plan `count` trips; the same seed plans the same ones."""
    dice = random.Random(seed)  # noqa: S311  repeatable, and no secret
    return TripPlan(
        tuple(
            PlannedSaga(key, fate, _variables(fate, dice))
            for key, fate in dealt(count, SHARES, prefix, dice)
        )
    )


def _variables(fate: Fate, dice: random.Random) -> dict[str, object]:
    how_many = {Fate.NO_SEAT: 3, Fate.NOBODY: 0}.get(fate, dice.randint(1, 4))
    variables: dict[str, object] = {
        "flight": SMALL_PLANE if fate is Fate.NO_SEAT else dice.choice(FLIGHTS),
        "travellers": dice.sample(NAMES, how_many),
        "hotel": FULL_HOTEL if fate is Fate.NO_ROOM else dice.choice(HOTELS),
        "car_class": ALWAYS_OUT if fate is Fate.NO_CAR else dice.choice(CAR_CLASSES),
        "card": POOR_CARD if fate is Fate.DECLINED else dice.choice(RICH_CARDS),
        "amount": A_HEAD * max(1, how_many),
    }
    if fate is Fate.SILENT:
        variables["confirm_within"] = PATIENCE_WITH_HOTELS
    return variables
