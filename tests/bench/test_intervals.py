"""A median of rounds says how sure it is, and assumes nothing about the rounds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.intervals import median_of, quantile


def test_ten_rounds_leave_out_the_best_and_the_worst() -> None:
    seen = median_of([5, 1, 9, 3, 7, 2, 8, 4, 10, 6])

    assert (seen.value, seen.low, seen.high) == (5.5, 2, 9)
    assert seen.coverage == pytest.approx(0.9785, abs=1e-4)


def test_too_few_rounds_say_that_they_are_less_sure() -> None:
    seen = median_of([3, 1, 2])

    assert (seen.value, seen.low, seen.high, seen.coverage) == (2, 1, 3, 0.75)


def test_one_round_is_no_interval() -> None:
    seen = median_of([7])

    assert (seen.value, seen.low, seen.high, seen.coverage, seen.count) == (7, 7, 7, 0, 1)


def test_the_interval_holds_the_true_median_as_often_as_it_says() -> None:
    chance = random.Random(1)  # noqa: S311  the same samples each time
    samples = [[chance.expovariate(1) for _ in range(10)] for _ in range(4000)]
    true_median = 0.693147

    held = sum(
        seen.low <= true_median <= seen.high for seen in (median_of(sample) for sample in samples)
    )

    assert held / len(samples) == pytest.approx(0.9785, abs=0.01)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
def test_the_median_lies_in_its_interval(values: list[float]) -> None:
    seen = median_of(values)

    assert min(values) <= seen.low <= seen.value <= seen.high <= max(values)


@pytest.mark.parametrize("share, expected", [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_quantile_is_a_value_that_was_seen(share: float, expected: int) -> None:
    assert quantile(range(1, 101), share) == expected


def test_without_rounds_there_is_no_median() -> None:
    with pytest.raises(ValueError, match="no rounds"):
        median_of([])
