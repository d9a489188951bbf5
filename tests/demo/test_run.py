"""The demo as a person runs it: the real engine, real processes, and nothing left behind."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]

ENDS_WITHIN = 180


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "demo"
    yield folder
    assert leftovers(folder) == []


def leftovers(folder: Path) -> list[str]:
    """The processes that work on the demo's data: their command line or environment names it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in said and process.name != str(os.getpid()):
            found.append(said.decode(errors="replace")[:200])
    return found


def told(folder: Path, name: str) -> list[int]:
    """The processes that work on the demo's data and have the variable in their environment."""
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if f"{folder}".encode() in (said := environ(process)) and f"{name}=".encode() in said
    ]


def environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo", "--data", str(folder), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(demo: subprocess.Popen[str], words: str) -> str:
    """Read what it says until it says `words`."""
    said = ""
    assert demo.stdout is not None
    for line in demo.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


def test_a_demo_runs_proves_its_books_and_leaves_only_its_folder(folder: Path) -> None:
    demo = start(folder, "--orders", "12")
    said, _ = demo.communicate(timeout=ENDS_WITHIN)

    assert demo.returncode == 0, said
    assert "WRONG" not in said
    assert "every order has one end: 12 placed" in said
    assert f"export SAGAWORKS_DATA={folder}" in said
    assert (folder / "logs" / "payments.log").read_text()
    assert f"report: {folder / 'report.html'}" in said
    assert ended(folder / "report.html") == 12


def ended(report: Path) -> int:
    """How many sagas of the report have come to their end."""
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', report.read_text()
    )
    assert found
    data = json.loads(found.group(1))
    return sum(
        data["texts"][data["shapes"][saga[1]][1]] in ("done", "undone") for saga in data["sagas"]
    )


def test_trips_run_prove_their_books_and_show_each_fate(folder: Path) -> None:
    """Also those that the engine forgets to undo, and the one that a simulated person repairs."""
    demo = start(folder, "--saga", "book_trip", "--orders", "8")
    said, _ = demo.communicate(timeout=ENDS_WITHIN)

    assert demo.returncode == 0, said
    assert "WRONG" not in said
    assert "every trip has one end: 8 asked for = 2 ticketed" in said
    assert "rental company (simulated)" in said
    assert f"up --saga book_trip --data {folder}" in said


# Words that the demo says when it has just begun a part of its work.
@pytest.mark.parametrize("words", ["orders of mixed fate", "engine ", "workers "])
def test_ctrl_c_stops_everything(folder: Path, words: str) -> None:
    interrupt(folder, words, "--orders", "50")


@pytest.mark.usefixtures("postgresql", "mariadb")
@pytest.mark.parametrize("words", ["engine ", "servers ", "workers "])
def test_ctrl_c_stops_the_servers_too(folder: Path, words: str) -> None:
    interrupt(folder, words, "--orders", "50", "--db", "servers")


def interrupt(folder: Path, words: str, *arguments: str) -> None:
    demo = start(folder, *arguments)
    said = read_until(demo, words)

    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=ENDS_WITHIN)

    assert demo.returncode == 130, said + rest
    assert "Traceback" not in rest


def test_what_is_kept_up_answers_until_it_is_taken_down(folder: Path) -> None:
    """The commands that it tells a person to type are typed."""
    demo = start(folder, "up")
    try:
        lines = read_until(demo, "Ctrl-C stops it").splitlines()
        placing, looking = (
            next(line for line in lines if word in line) for word in (" start ", " trail ")
        )

        assert typed(placing, folder).startswith("my-order: started")

        until = time.monotonic() + ENDS_WITHIN
        while "ship_stock" not in typed(looking, folder):
            assert time.monotonic() < until
    finally:
        down = start(folder, "down")
        assert "stopped" in down.communicate(timeout=ENDS_WITHIN)[0]
        demo.communicate(timeout=10)
    assert demo.returncode == 130


def typed(line: str, folder: Path) -> str:
    """What a command line prints."""
    environ = os.environ | {"SAGAWORKS_DATA": str(folder)}
    done = subprocess.run(
        shlex.split(line), env=environ, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.mark.usefixtures("postgresql", "mariadb")
def test_orders_on_postgresql_mariadb_and_sqlite_add_up_and_outlive_a_kill(folder: Path) -> None:
    """The same code on three kinds of database; `up` goes on with the data, whoever was killed."""
    demo = start(folder, "--orders", "20", "--db", "servers")
    said, _ = demo.communicate(timeout=ENDS_WITHIN)

    assert demo.returncode == 0, said
    assert "WRONG" not in said
    line = " ".join(said.split())  # however wide the terminal was taken to be
    assert re.search(
        r"PostgreSQL at port \d+ \(orders, payments\b.* MariaDB at port \d+ \(inv", line
    )
    assert sorted(file.name for file in folder.glob("*.db")) == ["history.db", "shipping.db"]

    killed = start(folder, "up")
    looking = next(
        line for line in read_until(killed, "Ctrl-C stops it").splitlines() if " trail " in line
    ).replace("my-order", "order-0001")
    assert "ship_stock" in typed(looking, folder)
    assert told(folder, "ORDERS_DATABASE_URL")
    assert not told(folder, "ORDERS_OWNER_URL")
    killed.kill()
    killed.communicate()
    until = time.monotonic() + ENDS_WITHIN
    while leftovers(folder):
        assert time.monotonic() < until, leftovers(folder)
        time.sleep(0.1)

    again = start(folder, "up")
    try:
        read_until(again, "Ctrl-C stops it")
        assert "ship_stock" in typed(looking, folder)
    finally:
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=ENDS_WITHIN)
