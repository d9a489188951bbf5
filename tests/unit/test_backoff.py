"""Pauses grow, within bounds, and never all alike."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagaworks.runtime.backoff import Backoff, grown


def test_pauses_double_up_to_the_most_and_are_half_of_it_at_least() -> None:
    pause = Backoff(1.0, 5.0)

    found = [pause.next() for _ in range(6)]

    for step, seconds in zip([1, 2, 4, 5, 5, 5], found, strict=True):
        assert step / 2 <= seconds <= step


def test_after_a_reset_pauses_are_short_again() -> None:
    pause = Backoff(1.0, 64.0)
    for _ in range(6):
        pause.next()

    pause.reset()

    assert 0.5 <= pause.next() <= 1.0


def test_pauses_are_jittered() -> None:
    assert len({Backoff(1.0, 2.0).next() for _ in range(20)}) > 10
    assert len({grown(3) for _ in range(20)}) > 10


def test_a_first_pause_longer_than_the_most_is_cut() -> None:
    assert Backoff(9.0, 2.0).next() <= 2.0


@pytest.mark.parametrize("attempt, step", [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (500, 60)])
def test_each_attempt_waits_twice_as_long_up_to_a_minute(attempt: int, step: float) -> None:
    assert step / 2 <= grown(attempt) <= step


@settings(database=None, deadline=None)
@given(st.integers(1, 10_000), st.floats(0.001, 10, allow_nan=False), st.floats(0.001, 1000))
def test_a_pause_is_never_longer_than_the_most_nor_nothing(
    attempt: int, first: float, most: float
) -> None:
    assert 0 < grown(attempt, first=first, most=most) <= most
