"""Engine, database, link, disk, clock and processes break for real, under load; the books hold."""

import os
import sys
from collections.abc import Iterator

import pytest

from sagaworks.testing.servers.errors import ServersUnavailableError
from tests.faults.outages import scenarios
from tests.faults.outages.disks import Disk
from tests.faults.outages.load import Seen
from tests.faults.outages.stage import Stage, fake_clock, stage
from tests.faults.outages.zombies import zombies
from tests.faults.real.works import SERVICES, Works

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]  # seconds, each


@pytest.fixture(scope="module")
def on() -> Iterator[Stage]:
    with stage() as on:
        yield on


@pytest.fixture
def works(on: Stage) -> Works:
    return on.works


BUSY = 4
"""Processes that want each processor, from which on no time says anything."""


def judge(seen: Seen) -> None:
    """Nothing is wrong, and no retry was burnt."""
    sys.stdout.write("\n".join(["", str(seen), *seen.wrong[:10], ""]))
    assert seen.wrong == []
    assert seen.figures["retries burnt"] == 0


def is_busy() -> bool:
    return os.getloadavg()[0] >= BUSY * (os.cpu_count() or 1)


def skip_unless_small(disk: Disk) -> None:
    if disk.why_not:
        pytest.skip(f"not run: a small disk can't be mounted here ({disk.why_not})")


def test_a_link_that_is_cut(works: Works) -> None:
    seen = scenarios.link_cut(works, 10)

    judge(seen)
    assert seen.figures["connections cut"] > 0
    assert seen.figures["jobs done meanwhile"] == 0


def test_a_link_that_swallows_everything(works: Works) -> None:
    seen = scenarios.link_silent(works, 20)

    judge(seen)
    assert seen.figures["bytes held up"] > 0
    assert seen.figures["jobs done meanwhile"] == 0


def test_an_engine_that_is_killed(works: Works) -> None:
    seen = scenarios.engine_killed(works)

    judge(seen)
    assert seen.figures["engines killed"] == 1
    if not is_busy():
        assert seen.figures["seconds from readiness (1) to the first job done"] <= 5


def test_a_database_that_is_restarted(works: Works) -> None:
    seen = scenarios.database_restarted(works)

    judge(seen)
    # A restart may be so short that tries on the spot outlast it: no job is handed back then.
    assert seen.figures["connections cut"] > 0


def test_an_engine_that_is_busy(works: Works) -> None:
    seen = scenarios.backpressure(works, 10)

    judge(seen)
    assert seen.figures["requests refused"] > 0


def test_workers_that_are_asked_to_end_while_jobs_stream_in(works: Works) -> None:
    """What they have in hand they finish, what they have been sent besides they hand back."""
    seen = scenarios.terminated(works)

    judge(seen)
    assert seen.figures["workers asked to end"] >= len(SERVICES)
    assert seen.figures["jobs handed back"] > 0
    assert seen.figures["seconds until the slowest had ended"] < 10
    if not is_busy():
        waited = seen.figures["seconds until a job handed back was done, at most"]
        assert waited < scenarios.LONG_LOCK / 2


def test_workers_that_stand_still_past_their_locks_and_go_on(works: Works) -> None:
    """Killed by nobody, followed by others: what they do when they wake up changes nothing."""
    seen = zombies(works, 50)

    sys.stdout.write("\n".join(["", str(seen), *seen.wrong[:10], ""]))
    assert seen.wrong == []
    assert seen.figures["harmless"] == 50


def test_an_engine_whose_disk_is_full(on: Stage) -> None:
    skip_unless_small(on.engines_disk)
    seen = scenarios.engine_disk_full(on.works, on.engines_disk, 8)

    judge(seen)
    assert seen.figures["jobs done meanwhile"] == 0


def test_a_database_whose_disk_is_full(on: Stage) -> None:
    skip_unless_small(on.databases_disk)
    seen = scenarios.database_disk_full(on.works, on.databases_disk, 8)

    judge(seen)
    assert seen.figures["writes that found no room"] > 0


def test_workers_whose_clocks_differ_by_hours(works: Works) -> None:
    try:
        library = fake_clock(print)
    except ServersUnavailableError as error:
        pytest.skip(f"not run: {error}")
    seen = scenarios.clocks_differ(works, library)

    judge(seen)
    assert seen.figures["clocks that worked side by side"] == len({-1, 0, +1})


def test_an_engine_whose_clock_moves_by_an_hour(works: Works) -> None:
    seen = scenarios.clock_moved(works)

    judge(seen)
    assert seen.figures["locks that ran out"] > 0
