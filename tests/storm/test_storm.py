"""A short storm: workers, both databases and the engine break under it, and the books hold."""

import os
import random
import sys
from typing import Final

import pytest

from sagaworks.testing.servers import MariaDB, PostgreSQL
from tests.faults.real.works import Works
from tests.storm.storm import EACH, TERMINAL_WITHIN, Storm
from tests.storm.weather import Climate

SAGAS: Final = 160
RATE: Final = 4.0
SHORT: Final = Climate(worker=2.0, databases=9.0, engine=16.0)
"""Each kind at least twice in the forty seconds that the sagas take at the least."""


def say(line: str) -> None:
    """Shown if the test fails: the seed, what broke, what was seen."""
    sys.stdout.write(f"{line}\n")


def patience() -> float:
    """How much longer than on a quiet machine things may take here."""
    return min(4.0, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


@pytest.mark.engine
@pytest.mark.timeout(900)  # seconds; 80 on a quiet machine
def test_whatever_breaks_each_saga_ends_done_or_undone(
    postgresql: PostgreSQL, mariadb: MariaDB
) -> None:
    """On servers of its own: others' connections mustn't break. Those there say that it can be."""
    seed = random.randrange(1_000_000)  # noqa: S311  no secret
    say(f"seed {seed}")
    with (
        PostgreSQL.started(fast=True) as first,
        MariaDB.started(fast=True) as second,
        Works(first, also=second) as works,
        works.work(each=EACH) as nursery,
    ):
        within = TERMINAL_WITHIN * patience()
        storm = Storm(works, nursery, seed, RATE, say, climate=SHORT, terminal_within=within)
        aftermath = storm.run(SAGAS)

    say(str(aftermath))
    assert aftermath.wrong == []
    seen = aftermath.figures
    assert seen["workers killed"] >= 10
    assert min(seen[f"{name} restarted"] for name in ("PostgreSQL", "MariaDB")) >= 1
    assert seen["engines killed"] >= 1
    assert seen["ended at order_shipped"] + seen["ended at order_undone"] == seen["sagas"]
    assert 0 < seen["doomed"] < seen["sagas"]
