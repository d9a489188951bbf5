"""`sagaworks history` as people start it, and as it's killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sagaworks.cli import app
from sagaworks.history import HttpHistory, connect
from tests.history.recorded import bulk, job
from tests.history.test_server import post

PATIENCE = 60.0
HISTORY = (sys.executable, "-m", "sagaworks.cli", "history")


class Running:
    """One process, its log in a file."""

    def __init__(self, folder: Path, listen: str = "127.0.0.1:0") -> None:
        environ = os.environ | {"SAGAWORKS_DATA": str(folder), "PYTHONPATH": os.getcwd()}  # noqa: PTH109
        self.log = folder / "history.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*HISTORY, "--listen", listen], stderr=log, env=environ, cwd=folder
            )

    def url(self) -> str:
        until = time.monotonic() + PATIENCE
        while not (found := re.findall(r"history at (http://\S+),", self.log.read_text())):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, "it never said where it is"
            time.sleep(0.02)
        return str(found[-1])

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()


def test_what_was_acknowledged_outlives_a_kill(running: Running, tmp_path: Path) -> None:
    url = running.url()
    assert post(url, bulk([job(1, "CREATED")])) == 200
    running.end(signal.SIGKILL)
    running.log.unlink()

    again = Running(tmp_path, url.removeprefix("http://"))

    assert _waits_for(again).job(7)
    assert again.end(signal.SIGTERM) == 0


def _waits_for(running: Running) -> HttpHistory:
    found = connect(running.url())
    assert isinstance(found, HttpHistory)
    return found


def test_it_ends_when_told_to(running: Running) -> None:
    running.url()

    assert running.end(signal.SIGTERM) == 0
    assert "stopped" in running.log.read_text()


@pytest.mark.parametrize(
    "options", [("--keep", "forever"), ("--listen", "9700"), ("--listen", "127.0.0.1:99999")]
)
def test_what_it_cannot_mean_is_wrong_use(options: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["history", *options])

    assert done.exit_code == 2
    assert options[0] in done.stderr


def test_a_service_of_that_name_would_share_its_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = '[tool.sagaworks]\nservices = ["workers.history:history"]\n'
    (tmp_path / "pyproject.toml").write_text(table)
    monkeypatch.chdir(tmp_path)

    done = CliRunner().invoke(app, ["history"])

    assert "give the service another name" in str(done.exception)
