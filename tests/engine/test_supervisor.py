"""How long the keeper of an engine waits after a crash, and when it gives up."""

import time

import pytest

from sagaworks.engine import supervisor
from sagaworks.engine.supervisor import BACKOFF_SECONDS, GIVE_UP_AFTER, HEALTHY_SECONDS

KILLED = -9


class Keeper(supervisor.Supervisor):
    """A keeper whose engine nobody starts: only what it decides after crashes."""

    def __init__(self) -> None:
        self._cache = self._suspect = None
        self._was_ever_ready, self._crashes, self._restarts = True, 0, 0
        self.pauses: list[float] = []

    def crash_after(self, ready_for: float) -> bool:
        self._ready_at, self._stopping = time.monotonic() - ready_for, False
        return self._goes_on(KILLED)

    def _wait(self, seconds: float | None) -> None:
        """Wait for nothing: being told to stop ends a pause."""
        self.pauses.append(round(seconds or 0, 1))
        self._stopping = True


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


def test_an_engine_that_works_between_its_crashes_is_back_at_once_each_time(
    keeper: Keeper,
) -> None:
    """Killed once a minute for hours, as in a storm."""
    assert all(keeper.crash_after(HEALTHY_SECONDS + 1) for _ in range(2 * GIVE_UP_AFTER))

    assert {*keeper.pauses} == {BACKOFF_SECONDS[0]}
    assert HEALTHY_SECONDS <= 30, "with a minute's rhythm, and half of it to be back"


def test_an_engine_that_crashes_as_soon_as_it_is_ready_is_given_up(keeper: Keeper) -> None:
    went_on = [keeper.crash_after(1) for _ in range(GIVE_UP_AFTER + 1)]

    assert went_on == [True] * GIVE_UP_AFTER + [False]
    assert keeper.pauses[: len(BACKOFF_SECONDS)] == [*BACKOFF_SECONDS]
