"""Reading logs from their end."""

import threading
from pathlib import Path

from sagaworks.engine.logs import follow, shorten, since, tail, telling


def test_the_last_lines_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("".join(f"line {number}\n" for number in range(50_000)))

    assert tail(log, 2) == ["line 49998", "line 49999"]


def test_a_short_log_is_shown_whole(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("one\ntwo")

    assert tail(log, 10) == ["one", "two"]
    assert tail(log, 0) == []


def test_a_missing_log_has_no_lines(tmp_path: Path) -> None:
    assert tail(tmp_path / "none", 10) == since(tmp_path / "none", 0) == []


def test_what_was_written_since(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\nafter\n")

    assert since(log, len("before\n")) == ["after"]


def test_following_goes_on_over_a_roll_over(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("old\n")
    lines = follow(log)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(next(lines) for _ in range(3)))
    seen = threading.Event()
    threading.Timer(0.3, seen.set).start()
    reader.start()
    seen.wait()  # follow has no sign of having begun: it shows only what comes later

    with log.open("a") as stream:
        stream.write("one\n")
        stream.flush()
        log.replace(tmp_path / "engine.log.1")
        stream.write("two\n")
    log.write_text("three\n")
    reader.join(10)
    lines.close()

    assert found == ["one\n", "two\n", "three\n"]


def test_the_telling_line_is_the_innermost_cause() -> None:
    lines = [
        "ERROR something went wrong",
        "Caused by: java.net.BindException: Address already in use",
        "2026-11-22T20:37:24Z supervisor: engine ended, exit code 1",
        "WARNING: a library is deprecated",
    ]

    assert telling(lines) == "Caused by: java.net.BindException: Address already in use"
    assert telling([]) == "it left no word"


def test_only_a_log_grown_too_long_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "supervisor.log"
    log.write_text("short")
    shorten(log)
    assert log.exists()

    log.write_text("x" * 1_000_001)
    shorten(log)
    assert [path.name for path in tmp_path.iterdir()] == ["supervisor.log.1"]
