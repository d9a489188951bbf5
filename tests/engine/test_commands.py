"""`sagaworks engine …`: what a person sees, and the exit codes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sagaworks.cli.engine import app
from sagaworks.engine import Home, local
from sagaworks.errors import EngineError
from sagaworks.settings import Settings
from tests.engine.conftest import FAKE_PORTS, FakeJava


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
    started, found, seen = run("up"), run("up"), run("status")
    stopped, none = run("down", "--no-train"), run("status")

    assert started.stdout.startswith("engine ready after 0.")
    assert f"at 127.0.0.1:{FAKE_PORTS.gateway} (version 8.6.0" in started.stdout
    assert found.stdout == seen.stdout
    assert found.stdout.startswith("engine ready at")
    assert stopped.stdout.startswith("engine stopped (process ")
    assert [one.stdout.count("\n") for one in (started, found, seen, stopped, none)] == [1] * 5
    assert [one.exit_code for one in (started, found, seen, stopped, none)] == [0, 0, 0, 0, 3]


def test_down_without_an_engine_is_no_error() -> None:
    done = run("down")

    assert (done.exit_code, done.stdout) == (0, "no engine runs here\n")


def test_down_says_that_it_trains(settings: Settings) -> None:
    run("up")

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
