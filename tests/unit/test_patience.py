"""How long a job may wait for company: a tenth of the engine's answer, or not at all."""

from itertools import repeat

import pytest

from sagaworks.runtime.patience import Patience


def after(*answers: float) -> Patience:
    patience = Patience()
    for seconds in answers:
        patience.heard(seconds)
    return patience


def test_nobody_waits_before_the_engine_has_answered() -> None:
    assert Patience().seconds == 0.0


@pytest.mark.parametrize("answer, seconds", [(0.1, 0.01), (0.24, 0.024), (0.4, 0.04)])
def test_it_is_a_tenth_of_what_the_engine_takes(answer: float, seconds: float) -> None:
    assert after(*repeat(answer, 200)).seconds == pytest.approx(seconds)


def test_an_engine_at_ease_has_nobody_wait() -> None:
    assert after(*repeat(0.02, 200)).seconds == 0.0


def test_an_engine_that_hangs_has_nobody_wait_for_long() -> None:
    assert after(*repeat(5.0, 200)).seconds == 0.05


def test_one_slow_answer_changes_little_and_is_forgotten() -> None:
    at_ease = [*repeat(0.004, 50)]

    assert after(*at_ease, 0.3).seconds == 0.0
    assert after(*at_ease, 3.0).seconds > 0.0
    assert after(*at_ease, 3.0, *at_ease).seconds == 0.0
