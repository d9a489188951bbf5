"""The reconciler's loop: it ends with the row in hand, and no error of the world ends it."""

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from sagaworks import Service
from sagaworks.history import HistoryUnavailable, MemoryHistory
from sagaworks.ledger.faults import DatabaseReplacedError
from sagaworks.ledger.store import Store
from sagaworks.reconcile import Reconciler, Rhythm
from sagaworks.reconcile.settling import Hands, Settling
from tests.stores.world import migrate

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def reconciler(tmp_path: Path) -> Reconciler:
    url = f"sqlite:///{tmp_path}/shop.db"
    migrate(url)
    store = Store(url)
    settling = Settling(Service("shop"), Hands(store), None, lambda *_: None)
    return Reconciler(store, settling, MemoryHistory(), "<default>", Rhythm(pause=0.01))


async def test_told_to_stop_it_ends_after_the_row_in_hand(
    reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def sweep() -> int:
        began.set()
        go_on.wait(10)
        ended.set()
        return 0

    monkeypatch.setattr(reconciler, "sweep", sweep)
    running = asyncio.create_task(reconciler.keep_sweeping())
    await asyncio.to_thread(began.wait, 10)

    running.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert ended.is_set()


async def test_a_sweep_that_hangs_is_not_waited_for(
    reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def sweep() -> int:
        began.set()
        go_on.wait(10)
        return 0

    monkeypatch.setattr("sagaworks.reconcile.reconciler._PARTING", 0.01)
    monkeypatch.setattr(reconciler, "sweep", sweep)
    running = asyncio.create_task(reconciler.keep_sweeping())
    await asyncio.to_thread(began.wait, 10)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert reconciler.hangs
    go_on.set()


@pytest.mark.parametrize(
    "error",
    [
        HistoryUnavailable("away"),
        OperationalError("SELECT 1", None, Exception("away")),
        DatabaseReplacedError("another file"),
        KeyError("items"),
    ],
    ids=["history", "database", "file", "a bug"],
)
def test_what_is_away_is_looked_for_again(
    reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    tries = []

    def away(*_: object) -> None:
        tries.append(1)
        raise error

    monkeypatch.setattr(reconciler, "_portion", away)

    assert [reconciler.sweep(), reconciler.sweep()] == [0, 0]
    assert len(tries) == 2
