"""Children of the demo: logged, watched, and never left behind."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import processes
from demo.errors import DemoError
from demo.processes import Child, Children

SAY_URL = """
import json, os, sys
path = sys.argv[1]
with open(path + ".new", "w") as file:
    json.dump({"pid": os.getpid(), "management_url": "http://127.0.0.1:1"}, file)
os.replace(path + ".new", path)
"""
LIVE_ON = "import time; time.sleep(60)"
STUBBORN = f"""
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
{LIVE_ON}
"""
LAST_WORD = f"""
import signal, sys
def end(*_):
    with open(sys.argv[2], "a") as file:
        print(sys.argv[1], file=file)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("listening", flush=True)
{LIVE_ON}
"""


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    children = Children(tmp_path, os.environ, Path.cwd())
    yield children
    children.kill()
    for child in children.children:
        child.process.wait(10)


def has_url(child: Child) -> str | None:
    return None if child.url() else "no URL yet"


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_child_says_where_it_is_in_its_run_file(children: Children) -> None:
    child = children.start("one", "-c", SAY_URL + LIVE_ON, str(children.run / "one.json"))

    children.await_all(has_url)

    assert child.url() == "http://127.0.0.1:1"


def test_a_run_file_of_an_earlier_process_is_not_believed(children: Children) -> None:
    child = children.start("one", "-c", LIVE_ON)
    child.run_file.write_text('{"pid": 1, "management_url": "http://127.0.0.1:1"}')

    assert child.url() is None


def test_a_child_that_ends_by_itself_is_told_with_its_last_words(children: Children) -> None:
    children.start("one", "-c", "import sys; sys.exit('the disk is full')")

    with pytest.raises(DemoError, match=r"(?s)one has ended \(exit code 1\).*the disk is full"):
        children.await_all(has_url)


def test_a_child_that_was_killed_is_told(children: Children) -> None:
    child = children.start("one", "-c", LIVE_ON)
    child.process.kill()
    child.process.wait()

    with pytest.raises(DemoError, match="killed by signal 9"):
        children.check()


def test_waiting_for_a_child_is_bounded(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "START_WITHIN", 0.1)
    children.start("one", "-c", LIVE_ON)

    with pytest.raises(DemoError, match=r"one isn't ready after .*no URL yet; its log is"):
        children.await_all(has_url)


def test_stopping_ends_all_and_the_named_one_last(children: Children, tmp_path: Path) -> None:
    words = tmp_path / "words"
    for name in ("carrier", "orders", "payments"):
        child = children.start(name, "-c", LAST_WORD, name, str(words))
        wait_until(lambda log=child.log: "listening" in log.read_text())

    assert children.stop(10, last="carrier") == []
    assert words.read_text().split()[-1] == "carrier"
    assert set(words.read_text().split()) == {"carrier", "orders", "payments"}


def test_who_does_not_end_by_itself_is_killed_and_named(children: Children) -> None:
    child = children.start("one", "-c", STUBBORN)
    wait_until(lambda: "deaf" in child.log.read_text())

    assert children.stop(0.2, last="carrier") == ["one"]


def test_a_child_has_a_session_of_its_own_so_that_no_ctrl_c_reaches_it(
    children: Children,
) -> None:
    child = children.start("one", "-c", LIVE_ON)

    assert os.getsid(child.process.pid) == child.process.pid


def test_no_child_outlives_a_demo_that_is_killed(tmp_path: Path) -> None:
    """Not even kill -9 leaves a worker behind."""
    program = (
        "import os, sys, time; from pathlib import Path; from demo.processes import Children\n"
        "children = Children(Path(sys.argv[1]), os.environ, Path.cwd())\n"
        f"child = children.start('one', '-c', {LIVE_ON!r})\n"
        "print(child.process.pid, flush=True); time.sleep(60)"
    )
    demo = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert demo.stdout is not None
    pid = int(demo.stdout.readline())
    wait_until(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"-c")[2])
    wait_until(lambda: b"tether" not in Path(f"/proc/{pid}/cmdline").read_bytes())

    demo.kill()
    demo.wait()
    demo.stdout.close()

    wait_until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
