"""Up and down and what lies between, with a stand-in for Java: what only processes and files do."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sagaworks import engine
from sagaworks.engine import Engine, Home, local, starting
from sagaworks.engine import launch as launches
from sagaworks.engine.startcache import StartCache
from sagaworks.engine.supervisor import started_at
from sagaworks.errors import EngineError
from sagaworks.settings import Settings
from tests.engine.conftest import FAKE_PORTS, FakeJava

PATIENCE = 15.0


def up(settings: Settings, java: FakeJava, **more: object) -> Engine:
    return engine.up(settings, java=java, ports=FAKE_PORTS, **more)


def eventually(holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.02)


def is_gone(*pids: int | None) -> bool:
    return all(started_at(pid) is None for pid in pids if pid)


def cache_of(settings: Settings, java: FakeJava) -> StartCache:
    fetched = local.distribution(settings.engine_cache, "8.6.0")
    return StartCache.of(settings.engine_cache, java, fetched)


def test_up_returns_a_ready_engine_and_says_where_it_is(settings: Settings, java: FakeJava) -> None:
    started = up(settings, java)

    said = json.loads(settings.engine_file().read_text())
    assert started.ready
    assert not started.found
    assert settings.engine_address() == started.address == f"127.0.0.1:{FAKE_PORTS.gateway}"
    assert said["pid"] == started.pid
    assert started.ready_seconds is not None


def test_a_second_up_finds_the_first(settings: Settings, java: FakeJava) -> None:
    first = up(settings, java)
    second = up(settings, java)

    assert second.found
    assert (second.pid, second.address) == (first.pid, first.address)
    assert len(java.starts()) == 1


def test_three_at_once_start_one_engine(settings: Settings, java: FakeJava) -> None:
    found: list[Engine] = []
    threads = [threading.Thread(target=lambda: found.append(up(settings, java))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(one.found for one in found) == [False, True, True]
    assert len({one.pid for one in found}) == len(java.starts()) == 1


def test_two_folders_are_two_engines_on_different_ports(
    settings: Settings, java: FakeJava, tmp_path: Path
) -> None:
    other = replace(settings, data=tmp_path / "other")
    notes: list[str] = []
    first = up(settings, java)
    second = up(other, java, on_note=notes.append)
    engine.down(other, train=False)

    assert first.address != second.address
    assert f"127.0.0.1:{FAKE_PORTS.gateway + 10}" in notes[0]


def test_down_leaves_no_process_and_no_file_that_claims_one(
    settings: Settings, java: FakeJava
) -> None:
    started = up(settings, java)
    stopped = engine.down(settings, train=False)

    assert stopped is not None
    assert stopped.pid == started.pid
    assert is_gone(started.pid, started.supervisor_pid)
    assert not settings.engine_file().exists()
    assert engine.status(settings) is None
    assert engine.down(settings) is None


def test_an_engine_that_does_not_end_is_killed(
    settings: Settings, java: FakeJava, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launches, "GRACE_SECONDS", 0.3)
    java.behaves(ignores_term=True)
    started = up(settings, java)

    engine.down(settings, train=False)

    assert is_gone(started.pid, started.supervisor_pid)


def test_a_killed_java_is_brought_back_at_the_same_address(
    settings: Settings, java: FakeJava
) -> None:
    started = up(settings, java)
    os.kill(started.pid or 0, signal.SIGKILL)

    eventually(lambda: (now := engine.status(settings)) and now.ready and now.pid != started.pid)
    now = engine.status(settings)
    assert now is not None
    assert (now.address, now.restarts) == (started.address, 1)


def test_java_does_not_outlive_its_killed_supervisor(settings: Settings, java: FakeJava) -> None:
    started = up(settings, java)
    os.kill(started.supervisor_pid or 0, signal.SIGKILL)

    eventually(lambda: is_gone(started.pid))
    assert engine.status(settings) is None
    assert not up(settings, java).found


ATTACHED = """
import sys, time
from pathlib import Path
from sagaworks import engine
from sagaworks.settings import Settings
data, cache, home, gateway, monitoring, rest = sys.argv[1:]
java = engine.Java(Path(home), 25, "Fake")
ports = engine.Ports(int(gateway), int(monitoring), int(rest))
settings = Settings(data=Path(data), engine_cache=Path(cache))
print(engine.up(settings, java=java, ports=ports, attached=True).pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_attached_engine_ends_with_its_parent_however_that_ends(
    settings: Settings, java: FakeJava, number: signal.Signals
) -> None:
    ports = (FAKE_PORTS.gateway, FAKE_PORTS.monitoring, FAKE_PORTS.rest)
    arguments = (settings.data, settings.engine_cache, java.home, *ports)
    with subprocess.Popen(
        [sys.executable, "-c", ATTACHED, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        now = engine.status(settings)
        assert now is not None
        assert now.pid == pid
        parent.send_signal(number)
        parent.wait()

    eventually(lambda: engine.status(settings) is None)
    eventually(lambda: is_gone(pid, now.supervisor_pid))


def test_a_stale_file_neither_counts_nor_gets_a_stranger_killed(
    settings: Settings, java: FakeJava
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        settings.engine_file().parent.mkdir(parents=True)
        stale = {"address": "x:1", "version": "8.6.0", "pid": stranger.pid, "ready": True}
        stale |= {"supervisor_pid": stranger.pid, "supervisor_started": 1}
        settings.engine_file().write_text(json.dumps(stale))

        assert engine.status(settings) is None
        assert engine.down(settings) is None
        assert up(settings, java).pid != stranger.pid
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_a_number_that_went_to_another_process_is_not_killed(
    settings: Settings, java: FakeJava, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock says something runs, the file names a process that is another by now."""
    from sagaworks.engine import running

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        said = {"supervisor_pid": stranger.pid, "supervisor_started": 1}
        running._signal_supervisor(said, signal.SIGKILL)

        stranger.communicate(b"\n")
        assert stranger.returncode == 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ready": true}'])
def test_a_damaged_file_of_a_dead_engine_is_in_nobodys_way(
    settings: Settings, java: FakeJava, content: str
) -> None:
    settings.engine_file().parent.mkdir(parents=True)
    settings.engine_file().write_text(content)

    assert engine.status(settings) is None
    assert up(settings, java).ready


def test_a_java_that_dies_at_start_is_one_line_with_its_own_words(
    settings: Settings, java: FakeJava
) -> None:
    java.behaves(dies_saying="Exception: Port 8080 was already in use")
    notes: list[str] = []

    with pytest.raises(EngineError) as raised:
        up(settings, java, on_note=notes.append)

    assert "did not start: Exception: Port 8080 was already in use; see " in str(raised.value)
    assert any("exit code 7" in note for note in notes)
    assert engine.status(settings) is None
    assert len(java.starts()) == 1


def test_an_engine_never_ready_is_stopped_again(
    settings: Settings, java: FakeJava, monkeypatch: pytest.MonkeyPatch
) -> None:
    java.behaves(never_ready=True)
    monkeypatch.setattr(starting, "READY_SECONDS", 0.5)

    with pytest.raises(EngineError, match="did not start"):
        up(settings, java)
    assert engine.status(settings) is None


def test_ctrl_c_while_it_starts_leaves_nothing_running(
    settings: Settings, java: FakeJava, monkeypatch: pytest.MonkeyPatch
) -> None:
    java.behaves(never_ready=True)
    monkeypatch.setattr(starting, "running", lambda _: signal.raise_signal(signal.SIGINT))

    with pytest.raises(KeyboardInterrupt):
        up(settings, java)

    monkeypatch.undo()
    assert engine.status(settings) is None
    assert not settings.engine_file().exists()


def test_no_room_for_the_data_is_said_at_once(
    settings: Settings, java: FakeJava, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "_ROOM_BYTES", 10**18)

    with pytest.raises(EngineError, match=r"no room for the engine's data in .* MB free"):
        up(settings, java)
    assert not java.starts()


def test_the_engine_is_told_to_listen_on_loopback_and_to_flush(
    settings: Settings, java: FakeJava
) -> None:
    up(settings, java)

    arguments = java.starts()[0]
    assert "-Dzeebe.broker.network.host=127.0.0.1" in arguments
    assert "-Dserver.address=127.0.0.1" in arguments
    assert "-Dmanagement.server.address=127.0.0.1" in arguments
    assert not any("flush" in argument for argument in arguments)


def test_temporary_files_of_an_engine_that_was_killed_are_removed(
    settings: Settings, java: FakeJava
) -> None:
    scratch = Home.of(settings).scratch
    scratch.mkdir(parents=True)
    (scratch / "librocksdb.so").write_bytes(b"left behind")

    up(settings, java)

    assert not list(scratch.iterdir())


def test_a_start_cache_that_fits_is_used(settings: Settings, java: FakeJava) -> None:
    cache = cache_of(settings, java)
    cache.folder.mkdir()
    cache.file.write_text("a start cache")

    assert up(settings, java).start_cache
    assert set(cache.options()) <= set(java.starts()[0])
    assert cache.exists()


def test_a_start_cache_that_does_not_fit_is_dropped_and_the_engine_starts(
    settings: Settings, java: FakeJava
) -> None:
    cache = cache_of(settings, java)
    cache.folder.mkdir()
    cache.file.write_text("damaged")
    java.behaves(refuses_cache=True)

    assert not up(settings, java).start_cache
    assert not cache.exists()
    assert len(java.starts()) == 2


def test_a_start_cache_is_not_blamed_for_what_fails_without_it_too(
    settings: Settings, java: FakeJava
) -> None:
    cache = cache_of(settings, java)
    cache.folder.mkdir()
    cache.file.write_text("fits")
    java.behaves(dies_saying="no memory")

    with pytest.raises(EngineError, match="no memory"):
        up(settings, java)
    assert cache.exists()


def test_another_java_build_has_another_start_cache(settings: Settings, java: FakeJava) -> None:
    other = replace(java, build="Fake-25.0.10+1")

    assert cache_of(settings, java).file != cache_of(settings, other).file


def test_warm_writes_the_start_cache_and_drops_older_ones(
    settings: Settings, java: FakeJava
) -> None:
    old = cache_of(settings, replace(java, build="older"))
    old.folder.mkdir()
    old.file.write_text("of an older build")
    (old.folder / ".train-old").mkdir()

    trained = engine.warm(settings, java=java)

    assert trained.file.read_text() == "a start cache"
    names = {path.name for path in trained.file.parent.iterdir()}
    assert names == {trained.file.name, "train.lock"}


def test_down_has_the_start_cache_written_in_the_background(
    settings: Settings, java: FakeJava
) -> None:
    cache = cache_of(settings, java)
    up(settings, java)

    stopped = engine.down(settings)

    assert stopped is not None
    assert stopped.training
    eventually(cache.exists)
    up(settings, java)
    again = engine.down(settings)
    assert again is not None
    assert not again.training


def test_a_named_cluster_is_not_ours_to_stop(settings: Settings) -> None:
    named = replace(settings, zeebe_address="cluster.invalid:26500")

    with pytest.raises(EngineError, match=r"cluster\.invalid:26500, which is not ours to stop"):
        engine.down(named)


def test_a_named_cluster_that_does_not_answer_is_one_line(
    settings: Settings, java: FakeJava
) -> None:
    named = replace(settings, zeebe_address="127.0.0.1:1")

    with pytest.raises(EngineError, match=r"127\.0\.0\.1:1: .*ZEEBE_ADDRESS"):
        up(named, java)
    assert not java.starts()
