"""The broker's data is put back to an older copy, or deleted, while the service lives on."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sagaworks import Service, engine
from sagaworks.history import MemoryHistory
from sagaworks.ledger.reader import read_owner, read_trail
from sagaworks.ledger.store import Store
from sagaworks.reconcile import Rhythm, adopt, doubts_of, withdraw
from sagaworks.runtime.gateway import connect
from sagaworks.runtime.worker import Worker
from sagaworks.saga import SagaKey
from sagaworks.settings import Settings
from sagaworks.testing.broker.receiver import Receiver, exporter_settings
from sagaworks.testing.databases import make_tables
from sagaworks.testing.loop import Loop
from tests.engine.conftest import PORTS
from tests.reconcile import diagrams as d
from tests.reconcile.conftest import Marks
from tests.reconcile.test_shapes import until

pytestmark = pytest.mark.engine

WAITS = d.diagram(
    d.start(),
    d.step("a"),
    d.step("b"),
    d.task("waits"),
    d.end(),
    d.chain("begin", "a", "b", "waits", "end"),
)


class Lived:
    """A broker with a service beside it; the broker's data goes back, the service's stays."""

    def __init__(self, settings: Settings, service: Service) -> None:
        self.history = MemoryHistory()
        self.settings = settings
        self._service = service
        self._receiver = Receiver()
        self._receiver.take = self.history.take
        self._loop = Loop()
        self._stop: asyncio.Event | None = None
        self._running: asyncio.Task[int] | None = None
        self._address = ""
        settings.data.mkdir()
        make_tables(service.name, settings.database_url(service.name), None)
        self.store = Store(settings.database_url(service.name))

    def up(self) -> None:
        """Start the broker, then the worker."""
        more = exporter_settings(self._receiver.url)
        started = engine.up(
            self.settings, attached=True, quick=True, ports=PORTS, more_settings=more
        )
        self._address = started.address
        at = replace(self.settings, zeebe_address=started.address)
        rhythm = Rhythm(pause=0.2, patience=1.0, listed_after=2.0)
        worker = Worker(self._service, at, history=self.history, rhythm=rhythm)
        self._stop = self._loop.call(asyncio.Event)
        self._running = self._loop.begin(worker.run(self._stop))

    def down(self) -> None:
        """Stop the worker, then the broker: what is in hand would be reported to a stranger."""
        if self._running and self._stop:
            self._loop.call(self._stop.set)
            self._loop.run(asyncio.wait_for(self._running, None))
            self._running = None
        engine.down(self.settings, train=False)

    @property
    def data(self) -> Path:
        return self.settings.data / "engine" / "data"

    def close(self) -> None:
        self.down()
        self._receiver.close()
        self.store.close()
        self._loop.close()

    def deploy(self, file: Path) -> None:
        async def deploy() -> None:
            async with connect(replace(self.settings, zeebe_address=self._address)) as gateway:
                await gateway.deploy([file])

        self._loop.run(deploy())

    def start(self, key: str) -> SagaKey:
        """Create a saga's instance, and wait until it stands where nobody works on it.

        Or until history says so of one of a former life that had the same key.
        """

        async def create() -> SagaKey:
            async with connect(replace(self.settings, zeebe_address=self._address)) as gateway:
                return await gateway.create("shape", {"saga_key": key})

        instance = self._loop.run(create())
        assert until(lambda: "waits" in [job.element for job in self.history.jobs(instance)], 60)
        return instance

    def cancel(self, instance: SagaKey) -> None:
        async def cancel() -> None:
            async with connect(replace(self.settings, zeebe_address=self._address)) as gateway:
                await gateway.cancel(instance)

        self._loop.run(cancel())

    def standing(self, key: str) -> list[str]:
        """The steps of a saga whose effects stand, as its ledger has them."""
        with self.store.reading() as connection:
            trail = read_trail(connection, "<default>", key)
        undone = [(one["step"], one["round"]) for one in trail if one["event"] == "undone"]
        done = [(one["step"], one["round"]) for one in trail if one["event"] == "executed"]
        return [step for step, round_ in done if (step, round_) not in undone]

    def owner(self, key: str) -> SagaKey | None:
        with self.store.reading() as connection:
            return read_owner(connection, "<default>", key)

    def forgotten(self) -> set[str]:
        with self.store.reading() as connection:
            found = doubts_of(connection, "<default>")
        return {one.saga_key for one in found if one.kind == "forgotten"}


@pytest.fixture
def lived(tmp_path: Path, shop: Service) -> Iterator[Lived]:
    cache = Settings.load().engine_cache
    lived = Lived(Settings(data=tmp_path / "home", engine_cache=cache, threads=4), shop)
    yield lived
    lived.close()


@pytest.mark.timeout(600)
def test_a_restored_and_then_an_emptied_engine_mix_up_no_sagas(
    lived: Lived, marks: Marks, tmp_path: Path
) -> None:
    diagram = tmp_path / "shape.bpmn"
    diagram.write_text(WAITS)
    lived.up()
    lived.deploy(diagram)
    first = lived.start("order-1")
    lived.down()
    shutil.copytree(lived.data, tmp_path / "copy")

    lived.up()
    forgotten = [lived.start("order-2"), lived.start("order-3")]
    lived.down()
    assert len(marks.done) == 6
    shutil.rmtree(lived.data)
    shutil.copytree(tmp_path / "copy", lived.data)

    # An older copy: it gives out keys again that order-2 and order-3 had.
    lived.up()
    again = lived.start("order-4")
    assert again <= max(forgotten), "the copy gave no key again"
    # Until then its old records are believed, also of a key that is given anew.
    assert until(lambda: lived.history.life() == 2, 60)
    assert until(lambda: len(marks.done) == 8, 60), "a new saga got an old one's answer"
    assert until(lambda: lived.forgotten() == {"order-2", "order-3"}, 60)

    lived.cancel(again)
    assert until(lambda: lived.standing("order-4") == [], 60)
    assert [lived.standing(f"order-{n}") for n in (1, 2, 3)] == [["a", "b"]] * 3

    anew = lived.start("order-3")
    assert until(lambda: lived.owner("order-3") == anew, 60)
    assert len(marks.done) == 8, "a step that is run again was applied twice"
    with lived.store.writing() as connection:
        for doubt in doubts_of(connection, "<default>"):
            if doubt.saga_key == "order-2":
                withdraw(connection, "<default>", doubt.execution)
    assert until(lambda: lived.standing("order-2") == [], 60)
    lived.cancel(first)
    assert until(lambda: lived.standing("order-1") == [], 60)
    lived.down()
    shutil.rmtree(lived.data)

    # Nothing is left: order-3 is started again, by hand passed to what may have any old key.
    lived.up()
    lived.deploy(diagram)
    other = lived.start("order-5")
    assert until(lambda: lived.history.life() == 3, 60)
    assert until(lambda: len(marks.done) == 10, 60), "a new saga got an old one's answer"
    assert until(lambda: lived.forgotten() == {"order-3"}, 60)
    lived.cancel(other)
    assert until(lambda: lived.standing("order-5") == [], 60)
    assert lived.standing("order-3") == ["a", "b"]
    with lived.store.writing() as connection:
        assert adopt(connection, "<default>", "order-3", SagaKey(7))
    assert len(marks.undone) == 8
