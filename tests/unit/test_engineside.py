"""The engine's side of a trail, joined with the ledgers' from a history asked over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from sagaworks.history.keeping.server import HistoryServer
from sagaworks.history.keeping.store import KeptHistory
from sagaworks.settings import Settings
from sagaworks.trail import Trail, read_trail
from tests.history.recorded import (
    ORDER,
    element,
    incident,
    job,
    process,
    undoing,
    variable,
)

HOLD, RELEASE, SELL = 11, 12, 13


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HistoryServer]:
    kept = KeptHistory(f"sqlite:///{tmp_path / 'history.db'}")
    kept.prepare()
    server = HistoryServer(kept)
    yield server
    server.close()
    kept.close()


@pytest.fixture
def asked(server: HistoryServer) -> Trail:
    """The trail of a saga that was undone, and halts at its last step."""
    server.history.take(
        [
            process(1, "ELEMENT_ACTIVATED"),
            variable(2, "saga_key", "order-42"),
            element(3, "ELEMENT_COMPLETED", 20, "hold"),
            job(4, "COMPLETED", HOLD, elementId="hold", elementInstanceKey=20),
            undoing(5, "TRIGGERED", compensationHandlerInstanceKey=40, throwEventId="undo"),
            element(6, "ELEMENT_COMPLETED", 40, "release"),
            job(7, "COMPLETED", RELEASE, elementId="release", elementInstanceKey=40),
            undoing(8, "COMPLETED"),
            element(9, "ELEMENT_ACTIVATED", 2, "sell"),
            job(10, "FAILED", SELL, retries=0),
            incident(11, "CREATED", jobKey=SELL),
        ]
    )
    return _read(server.url)


def _read(url: str) -> Trail:
    return read_trail("order-42", (), Settings.load({"SAGAWORKS_HISTORY": url}))


def entry(step: str, event: str, **more: object) -> dict[str, object]:
    about = {"at": "2026-01-02T10:00:00.1+00:00", "round": 1, "each": "", "service": "stock"}
    return {"step": step, "event": event, "process_instance": ORDER, **about, **more}


def test_each_entry_says_what_became_of_its_job(asked: Trail) -> None:
    side = asked.engine
    assert side

    assert side.in_words(entry("hold", "executed", job=HOLD)) == "completed"
    assert side.in_words(entry("hold", "undone", job=HOLD, undone_by=RELEASE)) == (
        "completed, thrown by undo"
    )
    assert side.in_words(entry("sell", "executed", job=SELL)) == "failed, 0 retries left"
    assert side.in_words(entry("hold", "executed", job=99)) == "not recorded"
    assert side.in_words(entry("sell", "started", job=None)) == ""


def test_what_no_ledger_knows_is_told_in_lines(asked: Trail) -> None:
    side = asked.engine
    assert side

    assert [*side.lines()] == [
        f"engine: process instance {ORDER} of place_order is stuck",
        "incident at sell: JOB_NO_RETRIES: the carrier is closed",
        "to be done: sell (shop.sell): failed, 0 retries left",
    ]
    assert side.elements == {"hold": "undone", "release": "undone", "sell": "stuck"}


def test_the_engines_word_stands_in_the_table_and_in_json(asked: Trail) -> None:
    both = Trail("order-42", (entry("hold", "executed", job=HOLD),), engine=asked.engine)
    console = Console(width=200, highlight=False)
    with console.capture() as capture:
        console.print(both.as_table())
    told = json.loads(both.as_json())

    assert "engine" in capture.get().splitlines()[0]
    assert "completed" in capture.get().splitlines()[1]
    assert told["entries"][0]["engine"] == "COMPLETED"
    assert told["engine"]["instances"][0]["fate"] == "stuck"
    assert told["engine"]["waiting"][0]["job"] == SELL


def test_a_history_that_is_away_is_one_line_and_nothing_else_is_lost(
    server: HistoryServer,
) -> None:
    server.close()

    found = _read(server.url)

    assert found.engine is None
    assert found.no_engine == f"no history at {server.url}: nobody listens there"


def test_without_a_history_nothing_is_said_of_it(tmp_path: Path) -> None:
    found = read_trail("order-42", (), Settings.load({"SAGAWORKS_DATA": str(tmp_path)}))

    assert (found.engine, found.no_engine) == (None, None)
