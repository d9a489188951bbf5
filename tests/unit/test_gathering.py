"""Gathered log lines: none is lost on the way out, and a warning waits for nobody."""

import io
import subprocess
import sys
import threading
from types import SimpleNamespace

from sagaworks.observe.gathering import MOST, gathered


class Line(str):  # noqa: SLOT000  loguru's has an attribute too
    """A line as loguru writes it, with its record."""

    record: dict[str, SimpleNamespace]


def line(text: str, level: int) -> Line:
    made = Line(text)
    made.record = {"level": SimpleNamespace(no=level)}
    return made


class Stream(io.StringIO):
    """Counts how often it was written, and tells of the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []
        self.first = threading.Event()

    def write(self, text: str) -> int:
        self.written.append(text)
        self.first.set()
        return super().write(text)


def test_lines_are_written_together_by_themselves() -> None:
    stream = Stream()

    with gathered(stream) as lines:
        for number in range(5):
            lines.write(line(f"{number}\n", 20))
        assert stream.first.wait(5)

    assert "".join(stream.written) == "0\n1\n2\n3\n4\n"
    assert len([text for text in stream.written if text]) < 5


def test_a_warning_is_written_at_once_after_what_came_before() -> None:
    stream = Stream()

    with gathered(stream) as lines:
        lines.write(line("taken\n", 20))
        lines.write(line("not ready\n", 30))
        found = stream.getvalue()

    assert found == "taken\nnot ready\n"


def test_what_is_written_after_the_end_is_written_at_once() -> None:
    stream = Stream()
    with gathered(stream) as lines:
        pass

    lines.write("late\n")

    assert stream.getvalue() == "late\n"


def test_many_threads_lose_no_line() -> None:
    stream = Stream()

    with gathered(stream) as lines:

        def write(name: str) -> None:
            for number in range(500):
                lines.write(line(f"{name} {number}\n", 30 if number % 50 == 0 else 20))

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    found = stream.getvalue().splitlines()
    for name in "abcd":
        assert [line for line in found if line[0] == name] == [f"{name} {n}" for n in range(500)]


def test_a_process_that_ends_by_an_error_has_written_its_lines() -> None:
    code = (
        "import sys\nfrom sagaworks.observe.gathering import gathered\n"
        "with gathered(sys.stderr) as lines:\n    lines.write('last words\\n')\n    sys.exit(3)\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stderr) == (3, "last words\n")


def test_lines_that_nobody_reads_dont_pile_up() -> None:
    reading, stuck = threading.Event(), threading.Event()

    class Stuck(Stream):
        def write(self, text: str) -> int:
            stuck.set()
            reading.wait(10)
            return super().write(text)

    stream = Stuck()
    with gathered(stream) as lines:

        def write() -> None:
            for number in range(2 * MOST):
                lines.write(line(f"{number}\n", 20))

        writing = threading.Thread(target=write, daemon=True)
        writing.start()
        assert stuck.wait(5)
        writing.join(0.5)
        was_held_up = writing.is_alive()
        reading.set()
        writing.join(5)

    assert was_held_up
    assert len(stream.getvalue().splitlines()) == 2 * MOST
