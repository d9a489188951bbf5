"""`sagaworks adopt`: the saga row passes to another process instance, in every service."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagaworks.cli import main
from sagaworks.history.keeping.server import HistoryServer
from sagaworks.history.keeping.store import KeptHistory
from sagaworks.ledger.reader import read_owner
from sagaworks.ledger.statements import lock_saga
from sagaworks.ledger.store import Store
from sagaworks.testing.databases import make_tables
from tests.history.recorded import ORDER, process, variable

SERVICE = "from sagaworks import Service\nstock = Service('stock')\n"

FIRST = 4711


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The database of a project's only service, which knows order-42."""
    name = f"shop_{tmp_path.name}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "stock.py").write_text(SERVICE)
    (tmp_path / "bpmn").mkdir()
    (tmp_path / "data").mkdir()
    table = f'[tool.sagaworks]\nservices = ["{name}.stock:stock"]\n'
    (tmp_path / "pyproject.toml").write_text(table)
    url = f"sqlite:///{tmp_path}/data/stock.db"
    make_tables("stock", url, None)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGAWORKS_DATA", str(tmp_path / "data"))
    store = Store(url)
    with store.writing() as connection:
        lock_saga(connection, "<default>", "order-42", process_id="p", process_instance=FIRST)
    yield store
    store.close()


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeptHistory]:
    """The engine's history, which the project is told of."""
    kept = KeptHistory(f"sqlite:///{tmp_path}/history.db")
    kept.prepare()
    server = HistoryServer(kept)
    monkeypatch.setenv("SAGAWORKS_HISTORY", server.url)
    yield kept
    server.close()
    kept.close()


def adopt(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["sagaworks", "adopt", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def owner(store: Store) -> int | None:
    with store.reading() as connection:
        return read_owner(connection, "<default>", "order-42")


def test_a_saga_passes_to_the_instance_that_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt(monkeypatch, "order-42", "--instance", "8") == 0
    assert "stock: order-42 is process instance 8 now" in capsys.readouterr().out

    assert adopt(monkeypatch, "order-42", "--instance", "8") == 0
    assert "no service had to be changed" in capsys.readouterr().out
    assert owner(store) == 8


def test_a_saga_passes_to_the_instance_that_history_knows(
    store: Store, history: KeptHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.take([variable(1, "saga_key", "order-42"), process(2, "ELEMENT_ACTIVATING")])

    assert adopt(monkeypatch, "order-42") == 0

    assert owner(store) == ORDER


@pytest.mark.usefixtures("history")
def test_an_instance_that_nobody_knows_is_asked_for(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt(monkeypatch, "order-42") == 1

    assert "history knows as running with this key: none" in capsys.readouterr().err
    assert owner(store) == FIRST


def test_without_history_the_instance_is_asked_for(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SAGAWORKS_HISTORY", raising=False)

    assert adopt(monkeypatch, "order-42") == 1

    assert "name the process instance by --instance" in capsys.readouterr().err
    assert owner(store) == FIRST
