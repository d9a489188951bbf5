"""How many threads are worth having: few while they compute, more while they wait."""

import time
from itertools import repeat

import pytest

from sagaworks.runtime.overlap import Overlap


def after(*hands: tuple[float, float]) -> Overlap:
    overlap = Overlap()
    for whole, computing in hands:
        overlap.measure(whole, computing)
    return overlap


def test_it_begins_with_two() -> None:
    assert Overlap().threads == 2


def test_hands_that_mostly_wait_are_many_after_a_while() -> None:
    assert after((0.010, 0.001)).threads <= 3
    assert after(*repeat((0.010, 0.001), 400)).threads == 6


@pytest.mark.parametrize(
    "whole, threads", [(0.0014, 2), (0.0035, 2), (0.0044, 3), (0.0058, 4), (0.0071, 5)]
)
def test_there_are_as_many_as_leave_the_event_loop_its_share(whole: float, threads: int) -> None:
    assert after(*repeat((whole, 0.001), 400)).threads == threads


def test_a_hand_that_met_nobody_says_more_than_those_that_waited_for_each_other() -> None:
    crowded = repeat((0.012, 0.001), 50)

    assert after(*repeat((0.012, 0.001), 400), (0.0018, 0.001), *crowded).threads == 2


def test_what_was_seen_long_ago_is_forgotten() -> None:
    assert after((0.001, 0.001), *repeat((0.012, 0.001), 500)).threads == 6


def test_a_hand_too_short_to_be_measured_says_nothing() -> None:
    assert after((0.0, 0.0)).threads <= 3


def test_work_that_waits_is_told_from_one_that_computes() -> None:
    waits, computes = Overlap(), Overlap()
    for _ in range(400):
        waits.measured(lambda: time.sleep(0.001))
        computes.measured(lambda: sum(range(5_000)))

    # A busy machine lets either wait.
    assert computes.threads < waits.threads
