"""The history beside an engine: started with it, brought back, ended with it."""

import os
import re
import signal
from dataclasses import replace

from sagaworks import engine
from sagaworks.engine import Engine, Home, supervisor
from sagaworks.history import HistoryUnavailable, connect
from sagaworks.settings import Settings
from tests.engine.conftest import FAKE_PORTS, FakeJava
from tests.engine.test_lifecycle import eventually, is_gone

TOKEN = "hunter2"


def up(settings: Settings, java: FakeJava) -> Engine:
    return engine.up(settings, java=java, ports=FAKE_PORTS, history=True)


def history_pid(settings: Settings) -> int:
    """The process that the supervisor has started last."""
    started = re.findall(r"history started, process (\d+)", _supervisor_log(settings))
    return int(started[-1])


def _supervisor_log(settings: Settings) -> str:
    return Home.of(settings).supervisor_log.read_text()


def answers(url: str, token: str | None = None) -> bool:
    try:
        return connect(url, token=token).life() == 1
    except HistoryUnavailable:
        return False


def test_history_comes_and_goes_with_the_engine(settings: Settings, java: FakeJava) -> None:
    started = up(settings, java)
    url = started.history or ""
    eventually(lambda: answers(url))
    pid = history_pid(settings)
    place = settings.history_place()
    engine.down(settings, train=False)

    assert place == url == f"http://127.0.0.1:{FAKE_PORTS.history}"
    assert is_gone(pid)
    assert settings.history_place() is None
    assert (settings.data / "history.db").exists()


def test_the_exporter_is_told_where_history_is(settings: Settings, java: FakeJava) -> None:
    url = up(settings, java).history

    (arguments,) = java.starts()
    assert f"-Dzeebe.broker.exporters.sagaworks.args.url={url}" in arguments
    assert "-Dzeebe.broker.exporters.sagaworks.args.index.timer=false" in arguments


def test_without_history_there_is_no_exporter(settings: Settings, java: FakeJava) -> None:
    started = engine.up(settings, java=java, ports=FAKE_PORTS)

    assert started.history is None
    assert not [one for one in java.starts()[0] if "exporters" in one]


def test_a_killed_history_is_brought_back_at_the_same_address(
    settings: Settings, java: FakeJava
) -> None:
    started = up(settings, java)
    url = started.history or ""
    eventually(lambda: answers(url))
    first = history_pid(settings)
    os.kill(first, signal.SIGKILL)

    eventually(lambda: history_pid(settings) != first and answers(url))
    found = engine.status(settings)
    assert found
    assert (found.pid, found.restarts) == (started.pid, 0)


def test_history_does_not_outlive_a_killed_supervisor(settings: Settings, java: FakeJava) -> None:
    started = up(settings, java)
    eventually(lambda: answers(started.history or ""))
    pid = history_pid(settings)
    os.kill(started.supervisor_pid or 0, signal.SIGKILL)

    eventually(lambda: is_gone(pid))


def test_the_token_is_in_no_file_and_on_no_command_line(settings: Settings, java: FakeJava) -> None:
    guarded = replace(settings, token=TOKEN)
    started = up(guarded, java)
    eventually(lambda: answers(started.history or "", TOKEN))

    assert not answers(started.history or "")
    assert TOKEN not in str(java.starts())
    files = [file for file in Home.of(settings).folder.rglob("*") if file.is_file()]
    assert not [file for file in files if TOKEN.encode() in file.read_bytes()]
    given = _environment(started.pid or 0)
    assert f"ZEEBE_BROKER_EXPORTERS_SAGAWORKS_ARGS_AUTHENTICATION_PASSWORD={TOKEN}" in given


def _environment(pid: int) -> list[str]:
    assert supervisor.started_at(pid)
    with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123  no file of anybody's
        return file.read().decode().split("\0")
