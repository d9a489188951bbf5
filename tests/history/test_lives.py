"""A kept history beside the real broker: outages of either side, a wiped and a restored engine."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from sagaworks import engine
from sagaworks.engine import Home, Ports
from sagaworks.history.keeping.exporter import settings_for
from sagaworks.history.keeping.server import HistoryServer
from sagaworks.history.keeping.store import KeptHistory
from sagaworks.runtime.gateway import EngineUnreachableError
from sagaworks.saga import JobKey
from sagaworks.settings import Settings
from tests.history.shop import DIAGRAM, Shop

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]  # it starts five times

PORTS = Ports(28800, 12900, 11800)
PATIENCE = 60.0
Found = TypeVar("Found")


class Place:
    """An engine, and a history that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(
            data=folder / "engine-data", engine_cache=Settings.load({}).engine_cache
        )
        self.history = KeptHistory(f"sqlite:///{folder / 'history.db'}")
        self.history.prepare()
        self.server = HistoryServer(self.history)
        self.shop = Shop(self.settings)

    @property
    def data(self) -> Path:
        return Home.of(self.settings).data

    def up(self) -> None:
        more = settings_for(self.server.url)
        engine.up(self.settings, attached=True, quick=True, ports=PORTS, more_settings=more)
        eventually(self._opens)

    def down(self) -> None:
        engine.down(self.settings, train=False)

    def kill(self) -> None:
        """Kill it, and wait until its keeper has brought it back."""
        pid = self._pid()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: self._pid() not in (0, pid))
        eventually(self._opens)

    def _opens(self) -> bool:
        """A gateway that is ready may not know its partition yet; to deploy again is harmless."""
        try:
            self.shop.open()
        except EngineUnreachableError:
            return False
        return True

    def _pid(self) -> int:
        found = engine.status(self.settings)
        return found.pid or 0 if found and found.ready else 0

    def deafen(self) -> None:
        self.server.close()

    def listen(self) -> None:
        self.server = HistoryServer(self.history, port=int(self.server.url.rpartition(":")[2]))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.down()
    place.server.close()
    place.history.close()


def eventually(asked: Callable[[], Found]) -> Found:
    until = time.monotonic() + PATIENCE
    while not (found := asked()):
        assert time.monotonic() < until, "history never told it"
        time.sleep(0.05)
    return found


def is_completed(place: Place, job: JobKey) -> bool:
    found = place.history.job(job)
    return found is not None and found.last == "COMPLETED"


def test_history_over_outages_a_restored_and_a_wiped_engine(place: Place, tmp_path: Path) -> None:
    """One engine through all of it: each start of a broker takes seconds."""
    sold = what_is_told(place)
    history_is_away(place)
    the_engine_is_killed(place)
    after_copy = it_goes_on_from_a_copy(place, tmp_path / "copy")
    the_copy_is_put_back(place, tmp_path / "copy", sold, after_copy)
    all_its_data_is_gone(place, sold)


def what_is_told(place: Place) -> JobKey:
    place.up()
    first = place.shop.order("order-1")
    sold = place.shop.sell()
    waiting = place.shop.order("order-2")
    eventually(lambda: is_completed(place, sold))

    (told,) = eventually(lambda: place.history.instances("order-1"))
    assert told.key == first
    assert eventually(lambda: place.history.instance(first).ended)
    assert place.history.diagram(first) == DIAGRAM.read_bytes()
    eventually(lambda: place.history.jobs(waiting))
    return sold


def history_is_away(place: Place) -> None:
    """The exporter waits, and nothing is missing."""
    place.deafen()
    sold = place.shop.sell()
    place.listen()

    eventually(lambda: is_completed(place, sold))
    assert progress_of(place) == (1, 0)


def the_engine_is_killed(place: Place) -> None:
    """It is brought back: what it sends again is known, and nothing is missing."""
    place.kill()
    order = place.shop.order("order-2b")
    sold = place.shop.sell()

    eventually(lambda: is_completed(place, sold))
    assert place.history.job(sold).instance == order
    assert progress_of(place) == (1, 0)


def it_goes_on_from_a_copy(place: Place, copy: Path) -> JobKey:
    """It is stopped and copied, and goes on: that's no new life."""
    place.shop.order("order-3")
    place.down()
    shutil.copytree(place.data, copy)
    place.up()
    after_copy = place.shop.sell()
    eventually(lambda: is_completed(place, after_copy))
    forgotten = place.shop.order("order-4")

    eventually(lambda: place.history.jobs(forgotten))
    assert place.history.life() == 1
    return after_copy


def the_copy_is_put_back(place: Place, copy: Path, sold: JobKey, after_copy: JobKey) -> None:
    """What the copy doesn't know isn't believed, what it knows still is."""
    place.down()
    shutil.rmtree(place.data)
    shutil.copytree(copy, place.data)
    place.up()
    place.shop.order("order-5")

    eventually(lambda: place.history.life() == 2)
    eventually(lambda: place.history.instances("order-5"))
    assert place.history.instances("order-4") == []
    assert is_completed(place, sold)
    assert not is_completed(place, after_copy)
    # The same job is there again, under the same key, and still to be done.
    assert place.shop.sell() == after_copy
    eventually(lambda: is_completed(place, after_copy))


def all_its_data_is_gone(place: Place, sold: JobKey) -> None:
    """Nothing of before is believed, whichever keys come again."""
    place.down()
    shutil.rmtree(place.data)
    place.up()
    fresh = place.shop.order("order-6")

    eventually(lambda: place.history.life() == 3)
    eventually(lambda: place.history.instances("order-6"))
    assert [place.history.instances(f"order-{number}") for number in range(1, 6)] == [[]] * 5
    known = place.history.job(sold)
    assert known is None or known.instance == fresh


def progress_of(place: Place) -> tuple[int, int]:
    (progress,) = place.history.progress()
    return progress.life, progress.missing
