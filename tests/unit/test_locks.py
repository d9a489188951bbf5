"""How much of a lock is left, though the engine's clock is another."""

import time
from types import SimpleNamespace

import pytest

from sagaworks.runtime.locks import HeldJob, LockClock
from tests.stores.shop import hold_stock

LOCK = 15.0


class Clock:
    """A monotonic clock moved by hand, and an engine whose wall clock is ahead of it."""

    def __init__(self, ahead: float) -> None:
        self.now = 1000.0
        self.ahead = ahead

    def __call__(self) -> float:
        return self.now

    def deadline(self, *, waited: float = 0.0) -> int:
        """The deadline of a job that was activated `waited` seconds ago, in milliseconds."""
        return round((self.now - waited + self.ahead + LOCK) * 1000)


@pytest.fixture(params=[0.0, 1.7e9, -3600.0])
def clock(request: pytest.FixtureRequest) -> Clock:
    return Clock(request.param)


def test_a_fresh_job_has_its_whole_lock(clock: Clock) -> None:
    locks = LockClock(clock)

    assert locks.left(clock.deadline(), LOCK) == pytest.approx(LOCK, abs=0.01)


def test_a_job_that_waited_has_that_much_less(clock: Clock) -> None:
    locks = LockClock(clock)
    locks.left(clock.deadline(), LOCK)

    assert locks.left(clock.deadline(waited=4), LOCK) == pytest.approx(11, abs=0.01)
    assert locks.left(clock.deadline(waited=20), LOCK) == pytest.approx(-5, abs=0.01)


def test_one_fresh_job_puts_right_what_a_late_one_had_shown(clock: Clock) -> None:
    locks = LockClock(clock)
    locks.left(clock.deadline(waited=4), LOCK)

    locks.left(clock.deadline(), LOCK)

    assert locks.left(clock.deadline(waited=4), LOCK) == pytest.approx(11, abs=0.01)


def test_what_was_seen_lately_outlives_one_window(clock: Clock) -> None:
    locks = LockClock(clock)
    locks.left(clock.deadline(), LOCK)
    clock.now += 40

    assert locks.left(clock.deadline(waited=4), LOCK) == pytest.approx(11, abs=0.01)


def test_an_engines_clock_that_was_set_back_is_believed_after_two_windows(clock: Clock) -> None:
    locks = LockClock(clock)
    locks.left(clock.deadline(), LOCK)
    clock.ahead -= 600

    found = []
    for _ in range(4):
        clock.now += 31
        found.append(locks.left(clock.deadline(), LOCK))

    assert found[-1] == pytest.approx(LOCK, abs=0.01)


def test_an_engines_clock_that_was_set_forward_is_believed_at_once(clock: Clock) -> None:
    locks = LockClock(clock)
    locks.left(clock.deadline(), LOCK)
    clock.ahead += 600

    assert locks.left(clock.deadline(), LOCK) == pytest.approx(LOCK, abs=0.01)


def test_a_held_job_knows_its_time_and_whether_it_was_lost() -> None:
    held = HeldJob(SimpleNamespace(key=7), hold_stock, expires=time.monotonic() + 5)

    assert held.key == 7
    assert 4 < held.left <= 5
    assert held.held()

    held.lost = True

    assert not held.held()
