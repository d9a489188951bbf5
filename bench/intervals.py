"""Medians of rounds, with intervals that assume nothing about how rounds are distributed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Median:
    """The median of some rounds.

    Attributes:
        low, high: the interval, by order statistics.
        coverage: how surely the true median lies in it; less than 0.95 with fewer than six rounds.
        count: of rounds.
    """

    value: float
    low: float
    high: float
    coverage: float
    count: int


def median_of(values: Sequence[float]) -> Median:
    """Return the median with its narrowest interval of at least 95 %, else the widest there is.

    Each round is above the true median or below it, like a coin: so the k-th smallest and the k-th
    largest value enclose it with a probability that needs no further assumption.

    Raises:
        ValueError: there are no values.

    Source: David and Nagaraja, Order Statistics, 7.1.
    """
    if not values:
        raise ValueError("no rounds, no median")
    ordered, count = sorted(values), len(values)
    ranks = [
        rank for rank in range(1, (count + 1) // 2 + 1) if _coverage(count, rank) >= CONFIDENCE
    ]
    rank = max(ranks, default=1)
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return Median(middle, ordered[rank - 1], ordered[-rank], _coverage(count, rank), count)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all values doesn't exceed.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values, no quantile")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _coverage(count: int, rank: int) -> float:
    """How surely the median lies between the rank-th smallest and the rank-th largest value."""
    outside = sum(math.comb(count, below) for below in range(rank)) / float(2**count)
    return max(0.0, 1.0 - 2.0 * outside)
