"""`sagaworks engine …`: what a person sees, and the exit codes."""

import os
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sagaworks.cli.engine import app
from sagaworks.engine import Home, local
from sagaworks.errors import EngineError
from sagaworks.settings import Settings
from tests.engine.conftest import FAKE_PORTS, FakeJava
from tests.engine.test_history import history_pid
from tests.engine.test_lifecycle import eventually


@pytest.fixture(autouse=True)
def environment(
    settings: Settings, java: FakeJava, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGAWORKS_DATA", str(settings.data))
    monkeypatch.setenv("SAGAWORKS_CACHE", str(settings.engine_cache))
    monkeypatch.setattr(local, "find_java", lambda _: java)
    monkeypatch.setattr(local, "Ports", lambda: FAKE_PORTS)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_up_status_down_tell_in_one_line_each(settings: Settings) -> None:
    started, found, seen = run("up", "--no-history"), run("up", "--no-history"), run("status")
    stopped, none = run("down", "--no-train"), run("status")

    assert started.stdout.startswith("engine ready after 0.")
    assert f"at 127.0.0.1:{FAKE_PORTS.gateway} (version 8.6.0" in started.stdout
    assert found.stdout == seen.stdout
    assert found.stdout.startswith("engine ready at")
    assert stopped.stdout.startswith("engine stopped (process ")
    assert [one.stdout.count("\n") for one in (started, found, seen, stopped, none)] == [1] * 5
    assert [one.exit_code for one in (started, found, seen, stopped, none)] == [0, 0, 0, 0, 3]


def test_status_tells_whether_history_answers(settings: Settings) -> None:
    started = run("up")
    eventually(lambda: run("status").exit_code == 0)
    seen = run("status")
    os.kill(history_pid(settings), signal.SIGSTOP)
    frozen = run("status")
    os.kill(history_pid(settings), signal.SIGCONT)

    assert f"; history http://127.0.0.1:{FAKE_PORTS.history})" in started.stdout
    assert (seen.stdout.count("\n"), frozen.exit_code) == (1, 3)
    assert frozen.stdout.splitlines()[1].startswith("no history at http://127.0.0.1:")
    assert str(Home.of(settings).history_log) in frozen.stdout


def test_up_says_where_an_engine_runs_without_history(settings: Settings) -> None:
    run("up", "--no-history")

    assert "has no history: `sagaworks engine down`" in run("up").stderr


def test_down_without_an_engine_is_no_error() -> None:
    done = run("down")

    assert (done.exit_code, done.stdout) == (0, "no engine runs here\n")


def test_down_says_that_it_trains(settings: Settings) -> None:
    run("up", "--no-history")

    assert "in the background: writing the start cache" in run("down").stdout


def test_down_refuses_a_cluster_of_someone_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZEEBE_ADDRESS", "cluster.invalid:26500")

    assert isinstance(run("down").exception, EngineError)


def test_logs_say_where_they_are_and_how_they_end(settings: Settings) -> None:
    log = Home.of(settings).engine_log
    log.parent.mkdir(parents=True)
    log.write_text("one\ntwo\nthree\n")

    done = run("logs", "-n", "2")

    assert done.stdout == "two\nthree\n"
    assert done.stderr == f"{log}\n"


def test_warm_says_what_it_wrote() -> None:
    assert "start cache written: " in run("warm").stdout
