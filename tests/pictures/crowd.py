"""Simulated: many sagas for a report, made of nine real ones by other keys and other times."""

import random
from typing import Any

from sagaworks.report import Gathering
from tests.pictures.orders import history

FATES = {"shipped": 70, "sold-out": 8, "declined": 8, "no-carrier": 6, "nothing": 2, "overdue": 3}
FATES |= {"waiting": 1, "cancelled": 1, "stuck": 1}


def real_ones() -> Gathering:
    """The nine orders."""
    found = Gathering()
    found.see_all(history()._account)
    return found


def crowd(count: int, seed: int = 7) -> Gathering:
    """So many, of mixed fate, each with times of its own."""
    chance = random.Random(seed)  # noqa: S311  the same crowd each time
    found = real_ones()
    by_key = {saga[0]: saga for saga in found._sagas}
    fates = chance.choices(list(FATES), list(FATES.values()), k=count)
    found._sagas = [other(by_key[fate], number, chance) for number, fate in enumerate(fates)]
    return found


def other(saga: list[Any], number: int, chance: random.Random) -> list[Any]:
    _, shape, began, took, times, note = saga
    slower = chance.lognormvariate(0, 0.8)
    longer = [one if one < 0 else round(one * slower * chance.uniform(0.8, 1.3)) for one in times]
    ended = took if took < 0 else round(took * slower)
    return [f"order-{number:06d}", shape, began + 37 * number, ended, longer, note]
