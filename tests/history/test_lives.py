"""A kept history beside the real broker: outages of either side, a wiped and a restored engine."""

import shutil
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
from sagaworks.saga import JobKey
from sagaworks.settings import Settings
from tests.history.shop import DIAGRAM, Shop

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]  # it starts four times

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

    def down(self) -> None:
        engine.down(self.settings, train=False)

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
    place.up()
    place.shop.open()
    first = place.shop.order("order-1")
    sold = place.shop.sell()
    open_ = place.shop.order("order-2")
    eventually(lambda: is_completed(place, sold))

    # What is known of a saga that the exporter told.
    (told,) = eventually(lambda: place.history.instances("order-1"))
    assert told.key == first
    assert eventually(lambda: place.history.instance(first).ended)
    assert place.history.diagram(first) == DIAGRAM.read_bytes()
    eventually(lambda: place.history.jobs(open_))

    # History is away while something happens: the exporter waits, and nothing is missing.
    place.deafen()
    sold_meanwhile = place.shop.sell()
    place.listen()
    eventually(lambda: is_completed(place, sold_meanwhile))
    (progress,) = place.history.progress()
    assert (progress.life, progress.missing) == (1, 0)

    # The engine is stopped, copied, and goes on: no new life, what is sent again changes nothing.
    place.shop.order("order-3")
    place.down()
    shutil.copytree(place.data, tmp_path / "copy")
    place.up()
    after_copy = place.shop.sell()
    eventually(lambda: is_completed(place, after_copy))
    forgotten = place.shop.order("order-4")
    eventually(lambda: place.history.jobs(forgotten))
    assert place.history.life() == 1

    # The older copy is put back: what it doesn't know isn't believed, what it knows still is.
    place.down()
    shutil.rmtree(place.data)
    shutil.copytree(tmp_path / "copy", place.data)
    place.up()
    other = place.shop.order("order-5")
    eventually(lambda: place.history.life() == 2)
    eventually(lambda: place.history.instances("order-5"))
    assert place.history.instances("order-4") == []
    assert is_completed(place, sold)
    assert not is_completed(place, after_copy)
    again = place.shop.sell()
    eventually(lambda: is_completed(place, again))
    assert again == after_copy
    assert [one.business_key for one in [place.history.instance(other)]] == ["order-5"]

    # All of its data is gone: nothing of before is believed.
    place.down()
    shutil.rmtree(place.data)
    place.up()
    place.shop.open()
    fresh = place.shop.order("order-6")
    eventually(lambda: place.history.life() == 3)
    eventually(lambda: place.history.instances("order-6"))
    assert [place.history.instances(f"order-{number}") for number in range(1, 6)] == [[]] * 5
    assert place.history.job(sold) is None or place.history.job(sold).instance == fresh
