"""The engine's clock, moved: what is due on the way happens, one thing after the other."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from sagaworks import EngineError, Retry
from sagaworks.testing import HANG, Zeebe
from sagaworks.testing.stubs import Hang
from tests.kit.conftest import ORDER

pytestmark = [pytest.mark.engine, pytest.mark.zeebe_clock]


def test_a_timer_fires(zeebe: Zeebe, stubbed: Callable[..., None]) -> None:
    stubbed(charge_card=[HANG])
    saga = zeebe.run("place_order", **ORDER)

    zeebe.advance(timedelta(hours=2, minutes=59))
    assert saga.outcome_so_far is None
    zeebe.advance(timedelta(minutes=1))

    saga.assert_undone("hold_stock", "accept_order")


def test_each_of_many_tries_has_its_time(zeebe: Zeebe, stubbed: Callable[..., None]) -> None:
    closed = Retry("the bank is closed", after=timedelta(minutes=20))
    stubbed(charge_card=[closed, closed, closed, None])
    saga = zeebe.run("place_order", **ORDER)

    zeebe.advance(timedelta(minutes=61))

    assert saga.outcome_so_far == "completed"


def test_a_try_that_comes_too_late_is_no_more(zeebe: Zeebe, stubbed: Callable[..., None]) -> None:
    stubbed(charge_card=[Retry("the bank is closed", after=timedelta(hours=2)), HANG])
    saga = zeebe.run("place_order", **ORDER)

    zeebe.advance(timedelta(days=3))

    saga.assert_undone("hold_stock", "accept_order")


def test_a_job_whose_worker_died_comes_again(zeebe: Zeebe, stubbed: Callable[..., None]) -> None:
    stubbed(hold_stock=[Hang(timedelta(minutes=5)), None])
    saga = zeebe.run("place_order", **ORDER)

    zeebe.advance(timedelta(minutes=4))
    assert saga.outcome_so_far is None
    zeebe.advance(timedelta(minutes=2))

    saga.assert_completed()


def test_a_clock_does_not_go_back(zeebe: Zeebe) -> None:
    with pytest.raises(EngineError, match="only goes forward"):
        zeebe.advance(timedelta(seconds=-1))
