"""`sagaworks report`: from what `sagaworks history` keeps, to a file."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sagaworks.cli import main
from sagaworks.history.keeping.server import HistoryServer
from sagaworks.history.keeping.store import KeptHistory
from tests.pictures.orders import PLACE_ORDER, records

Ask = Callable[..., int]


@pytest.fixture
def history_url(tmp_path: Path) -> Iterator[str]:
    kept = KeptHistory(f"sqlite:///{tmp_path / 'history.db'}")
    kept.prepare()
    kept.take([*records()])
    server = HistoryServer(kept)
    yield server.url
    server.close()
    kept.close()


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ask:
    """Run a command in a project with our diagram; returns its exit code."""
    project = "[tool.sagaworks]\nservices = ['workers.orders:orders']\n"
    (tmp_path / "pyproject.toml").write_text(project)
    (tmp_path / "bpmn").mkdir()
    (tmp_path / "bpmn" / "place_order.bpmn").write_bytes(PLACE_ORDER.read_bytes())
    monkeypatch.chdir(tmp_path)

    def ask(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["sagaworks", *arguments])
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    return ask


def test_it_writes_the_sagas_that_history_knows(
    ask: Ask,
    history_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SAGAWORKS_HISTORY", history_url)

    assert ask("report", "--title", "Last night") == 0
    assert capsys.readouterr().out == "wrote saga-report.html: 9 sagas\n"
    assert "<h1>Last night</h1>" in (tmp_path / "saga-report.html").read_text()


def test_no_more_than_asked_are_written(
    ask: Ask,
    history_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SAGAWORKS_HISTORY", history_url)

    assert ask("report", "-o", "a.html", "--most", "4") == 0
    assert capsys.readouterr().out == "wrote a.html: 4 sagas\n"


def test_a_diagram_that_cannot_be_read_is_said(
    ask: Ask,
    history_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SAGAWORKS_HISTORY", history_url)
    (tmp_path / "bpmn" / "broken.bpmn").write_text("no")

    assert ask("report") == 0
    assert "not shown: bpmn/broken.bpmn:1: not XML" in capsys.readouterr().err


def test_a_picture_of_a_trail_comes_from_the_same_history(
    ask: Ask, history_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exit code 3: no service runs that could be asked for its ledger."""
    monkeypatch.setenv("SAGAWORKS_HISTORY", history_url)

    assert ask("trail", "overdue", "--picture") == 3
    assert "overdue: undone" in (tmp_path / "overdue.svg").read_text()


@pytest.mark.parametrize(
    "url, complaint",
    [
        (None, "SAGAWORKS_HISTORY isn't set: start an engine with"),
        ("http://127.0.0.1:9", "no history at http://127.0.0.1:9: nobody listens there"),
    ],
)
def test_without_history_it_is_one_line(
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    url: str | None,
    complaint: str,
) -> None:
    if url:
        monkeypatch.setenv("SAGAWORKS_HISTORY", url)

    assert ask("report") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"sagaworks: {complaint}")
    assert said.count("\n") == 1
