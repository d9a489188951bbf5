"""`sagaworks audit`, from the command line: one project, one service, the engine's history."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from sagaworks.audit import Picture, Scope, look
from sagaworks.cli import main
from sagaworks.history import MemoryHistory
from sagaworks.history.keeping.server import HistoryServer
from sagaworks.history.keeping.store import KeptHistory
from sagaworks.ledger import statements
from sagaworks.ledger.guards import ANSWERS, DropGuard
from sagaworks.ledger.protocol import Ledger
from sagaworks.ledger.store import Store
from sagaworks.ledger.tables import audit, ledger
from sagaworks.project import Project
from sagaworks.testing.databases import make_tables
from tests.history.recorded import ORDER, deployed, job, later, process, variable
from tests.stores.recorded import PLAIN
from tests.stores.world import delivery_to

SERVICE = """
from sqlmodel import Session, SQLModel

from sagaworks import Service

stock = Service("stock")


class Kept(SQLModel):
    count: int


@stock.step
def keep(session: Session) -> Kept:
    return Kept(count=1)


@keep.compensation
def give_back(session: Session, kept: Kept) -> None:
    pass
"""
KEY = "order-42"
JOB = 11


class Said(NamedTuple):
    code: int | str | None
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    name = f"shop_{tmp_path.name}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "stock.py").write_text(SERVICE)
    (tmp_path / "data").mkdir()
    table = f'[tool.sagaworks]\nservices = ["{name}.stock:stock"]\n'
    (tmp_path / "pyproject.toml").write_text(table)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGAWORKS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("STOCK_DATABASE_URL", f"sqlite:///{tmp_path}/data/stock.db")
    return Project.load()


@pytest.fixture
def store(tmp_path: Path, project: Project) -> Iterator[Store]:
    """The database of the project's only service, where the saga has one effect."""
    url = f"sqlite:///{tmp_path}/data/stock.db"
    make_tables("stock", url, None)
    store = Store(url)
    step = project.service("stock").steps["keep"]
    keeping = Ledger(store, lambda _job: pytest.fail("nobody probes"))
    keeping.run(step, delivery_to(step, job=JOB, saga=KEY, instance=ORDER), lambda: True)
    yield store
    store.close()


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeptHistory]:
    """The engine's history, which the project is told of."""
    kept = KeptHistory(f"sqlite:///{tmp_path}/history.db")
    kept.prepare()
    began = [process(2, "ELEMENT_ACTIVATING"), variable(3, "saga_key", KEY)]
    kept.take([deployed(1, PLAIN.encode()), *began])
    server = HistoryServer(kept)
    monkeypatch.setenv("SAGAWORKS_HISTORY", server.url)
    yield kept
    server.close()
    kept.close()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> Said:
        given = ["sagaworks", "audit", "--older-than", "0", *arguments]
        monkeypatch.setattr(sys, "argv", given)
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(ended.value.code, *capsys.readouterr())

    return run


def of_the_job(intent: str) -> dict[str, Any]:
    return job(4, intent, JOB, type="stock.keep", elementId="keep")


def test_where_all_agree_it_says_so(store: Store, history: KeptHistory, run: Run) -> None:
    history.take([of_the_job("COMPLETED")])
    with store.writing() as connection:
        statements.mark_counted(connection, [1])

    said = run()

    assert (said.code, said.err) == (0, "")
    assert said.out == "clean: ledgers and engine agree; asked: stock\n"


def test_a_difference_is_one_line_and_what_to_do(
    store: Store, history: KeptHistory, run: Run
) -> None:
    history.take([of_the_job("CANCELED")])

    said = run()

    assert said.code == 3
    assert f"stock {KEY} keep: taken away: job {JOB} was taken away" in said.out
    assert "next: sagaworks audit --fix" in said.out
    assert "1 difference; asked: stock" in said.out


def test_a_row_that_nobody_can_read_is_one_line_of_it(
    store: Store, history: KeptHistory, run: Run
) -> None:
    history.take([of_the_job("CANCELED")])
    with store.writing() as connection:
        connection.execute(DropGuard(ANSWERS))
        connection.execute(ledger.update().values(jobs="[1, "))

    said = run()

    assert (said.code, said.err) == (3, "")
    assert f"stock {KEY}: damaged: row 1 of the ledger" in said.out
    assert "next: restore the row, or upgrade" in said.out


def test_a_fix_is_dry_until_it_is_meant(store: Store, history: KeptHistory, run: Run) -> None:
    history.take([of_the_job("CANCELED")])

    said = run("--fix")

    assert said.code == 3
    assert "would undo it by stock.give_back" in said.out
    assert "nothing was changed" in said.out
    with store.reading() as connection:
        assert statements.entry_by_id(connection, 1).is_free
        assert connection.execute(select(audit)).all() == []


def test_a_fix_that_is_meant_mends_and_says_who_and_why(
    store: Store, history: KeptHistory, run: Run
) -> None:
    history.take([of_the_job("CANCELED")])

    said = run("--fix", "--yes", "--why", "workers were down", "--who", "ada")

    assert said.code == 0
    assert "now: undone" in said.err
    assert said.out.startswith("clean: ")
    with store.reading() as connection:
        (row,) = connection.execute(select(audit.c.who, audit.c.why)).all()
        assert tuple(row) == ("ada", "workers were down")

    assert run("--fix", "--yes", "--why", "again").code == 0
    with store.reading() as connection:
        assert len(connection.execute(select(audit)).all()) == 1


def test_who_mends_says_why(store: Store, history: KeptHistory, run: Run) -> None:
    assert run("--fix", "--yes").code == 2
    assert run("--fix", "--yes", "--why", " ").code == 2
    assert run("--yes", "--why", "so").code == 2


def test_for_programs_it_is_one_json_object(store: Store, history: KeptHistory, run: Run) -> None:
    history.take([of_the_job("CANCELED")])

    said = run("--format", "json")

    found = json.loads(said.out)
    (one,) = found["differences"]
    assert (one["service"], one["saga_key"], one["what"]) == ("stock", KEY, "taken_away")
    assert one["fix"] == "undo it by stock.give_back"
    assert (found["asked"], found["unasked"]) == (["stock"], [])


def test_a_person_decides_what_nobody_else_can(
    store: Store, history: KeptHistory, run: Run
) -> None:
    told = run()
    assert told.code == 3
    assert "a person decides: --undo stock:1 or --keep stock:1" in told.out

    said = run("--keep", "stock:1", "--yes", "--why", "the shelf was counted", "--who", "ada")

    assert said.code == 0
    assert "now: it stands" in said.err
    with store.reading() as connection:
        assert statements.entry_by_id(connection, 1).is_free
        (row,) = connection.execute(select(audit.c.who, audit.c.why)).all()
        assert tuple(row) == ("ada", "the shelf was counted")


def test_what_a_person_has_undone_is_undone_at_once_with_fix(
    store: Store, history: KeptHistory, run: Run
) -> None:
    run("--undo", "stock:1", "--yes", "--why", "cancelled by phone")
    said = run("--fix", "--yes", "--why", "no worker runs")

    assert (said.code, said.out.startswith("clean: ")) == (0, True)


@pytest.mark.parametrize("row", ["stock:2", "orders:1", "1"])
def test_a_row_that_nobody_must_decide_on_is_refused(
    store: Store, history: KeptHistory, run: Run, row: str
) -> None:
    said = run("--undo", row, "--yes", "--why", "so")

    assert said.code == 1
    assert said.err.startswith(f"sagaworks: {row}: no row that a person must decide on")
    with store.reading() as connection:
        assert connection.execute(select(audit)).all() == []


@pytest.mark.usefixtures("project", "history")
def test_a_service_that_can_not_be_asked_is_an_error(run: Run) -> None:
    said = run()

    assert said.code == 1
    assert "stock can't be asked" in said.err
    assert "not everybody could be asked" in said.out


@pytest.mark.usefixtures("store")
def test_without_history_there_is_nothing_to_compare_with(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAGAWORKS_HISTORY", raising=False)

    said = run()

    assert said.code == 1
    assert said.err.startswith("sagaworks: SAGAWORKS_HISTORY isn't set")


@pytest.mark.usefixtures("store")
def test_a_history_that_is_away_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGAWORKS_HISTORY", "http://127.0.0.1:1")

    said = run()

    assert said.code == 1
    assert (said.out, said.err.count("\n")) == ("", 1)


def test_a_saga_that_no_ledger_knows_is_told(store: Store, history: KeptHistory, run: Run) -> None:
    with store.writing() as connection:
        statements.mark_counted(connection, [1])
    about = {"processInstanceKey": 7, "scopeKey": 7}
    history.take(
        [
            of_the_job("COMPLETED"),
            process(5, "ELEMENT_ACTIVATING", 7),
            variable(6, "saga_key", "order-lost", **about),
            job(7, "COMPLETED", 12, type="stock.keep", elementId="keep", processInstanceKey=7),
        ]
    )

    said = run()

    assert said.code == 3
    assert "stock order-lost keep: no ledger: the engine counts job 12" in said.out


def failed_with_a_back_off(at: int) -> dict[str, Any]:
    more = {"retryBackoff": 500, "recurringTime": 1500 + at}
    return job(at, "FAILED", 12, type="stock.keep", elementId="keep", **more)


def settled(store: Store, history: KeptHistory) -> None:
    """Nothing else is the matter."""
    history.take([of_the_job("COMPLETED")])
    with store.writing() as connection:
        statements.mark_counted(connection, [1])


def test_a_job_that_the_engine_has_overlooked_is_told_with_how_to_free_it(
    store: Store, history: KeptHistory, run: Run
) -> None:
    settled(store, history)
    history.take([failed_with_a_back_off(5)])
    history.take([later(job(at, "CREATED", 20 + at), 30_000 * at) for at in (6, 7, 9)])

    said = run()

    assert said.code == 3
    what = "job 12 wasn't offered again in the 90 s after its back-off was over"
    assert f"stock {KEY} keep: overlooked: {what}" in said.out
    assert "next: start the broker again: then it offers the job" in said.out


def test_a_job_is_not_overlooked_as_long_as_the_engine_may_be_late(
    store: Store, history: KeptHistory, run: Run
) -> None:
    """Its own records say how late it is, not this machine's clock."""
    settled(store, history)
    history.take([failed_with_a_back_off(5)])
    history.take([later(job(at, "CREATED", 20 + at), 25_000 * at) for at in (6, 7, 8)])

    said = run()

    assert (said.code, "overlooked:" in said.out) == (0, False)
    assert "note: jobs due to be offered again: 1; the engine has told of too little" in said.out


def test_a_job_is_not_overlooked_where_a_record_of_its_saga_can_not_be_read(
    store: Store, history: KeptHistory, run: Run
) -> None:
    settled(store, history)
    history.take([failed_with_a_back_off(5), job(6, "RECURRED_AFTER_BACKOFF", 12, elementId=6)])
    history.take([later(job(at, "CREATED", 20 + at), 30_000 * at) for at in (7, 8, 10)])

    assert "overlooked:" not in run().out


def test_a_history_that_does_not_know_what_is_due_says_so() -> None:
    picture = Picture()

    look(MemoryHistory(), [], picture, Scope())

    [note] = [note for note in picture.notes if "overlooked" in note]
    assert note.endswith("weren't looked for: this history doesn't tell when a job is due")
