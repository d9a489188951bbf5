"""The tutorial, followed to the letter in an empty folder; only its installation is left out."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from sagaworks.new import TEMPLATE
from sagaworks.picture import draw
from tests.new.running import Running, running

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(
    r"(?:^<!-- (?P<note>.*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
ADD = re.compile(r"add to (?P<file>\S+)(?: (?P<where>above|in) (?P<name>\w+))?")
READ_ONLY = ("from ", "the installation")


class Block(NamedTuple):
    """One block of the page, and the note above it."""

    note: str
    language: str
    text: str


class Reader:
    """Does what the page says, block after block."""

    def __init__(self, folder: Path, env: Mapping[str, str], stack: ExitStack) -> None:
        self.folder = folder
        self.env = env
        self.said: list[str] = []
        self.services: Running | None = None
        self._stack = stack

    def follow(self, block: Block) -> None:
        if block.language == "text":
            self.compare(block.text)
        elif add := ADD.fullmatch(block.note):
            self.add(self.folder / add["file"], block.text, add["where"], add["name"])
        elif block.note == "stays":
            self.stay(block.text.strip())
        elif not block.note.startswith(READ_ONLY):
            for line in block.text.splitlines():
                self.run(line, fails=block.note == "fails")

    def run(self, line: str, *, fails: bool) -> None:
        if line.startswith("cd "):
            self.folder /= line.removeprefix("cd ")
            return
        if line == "make down":
            self._stack.close()  # the second terminal's Ctrl-C, which comes before it
        ran = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.said.append(ran.stdout)
        assert (ran.returncode != 0) == fails, f"{line}\n{ran.stdout}"
        if line == "make order KEY=order-2 CENTS=999999" and self.services:
            self.services.wait_for("order-2 release_stock")

    def stay(self, line: str) -> None:
        log = self.folder / "run.log"
        self.services = self._stack.enter_context(running(line.split(), self.folder, log, self.env))
        self.services.wait_for("inventory takes jobs", "payments takes jobs")

    def compare(self, expected: str) -> None:
        """The last command has said this."""
        assert expected in self.said[-1]

    def add(self, file: Path, text: str, where: str | None, name: str | None) -> None:
        """Change a file as a person would: at its end, above a function, or first in its body."""
        lines = file.read_text().splitlines(keepends=True)
        if where is None:
            lines += ["\n\n", text]
        else:
            at = next(n for n, line in enumerate(lines) if line.startswith(f"def {name}("))
            if where == "above":
                lines[at - 1 : at - 1] = [text, "\n\n"]
            else:
                lines[at + 2 : at + 2] = [text]
        file.write_text("".join(lines))


def blocks() -> Iterator[Block]:
    for found in BLOCK.finditer(PAGE.read_text()):
        yield Block(found["note"] or "", found["language"], found["text"])


def test_a_newcomer_who_follows_it_to_the_letter_gets_there(
    clean: Mapping[str, str], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        reader = Reader(tmp_path, clean, stack)
        try:
            for block in blocks():
                reader.follow(block)
        finally:
            reader.run("make down", fails=False)

    failed = next(said for said in reader.said if "test_an_order_of_nothing" in said)
    assert "went another way than hold_stock refused NOTHING_ORDERED" in failed
    assert any("7 passed" in said for said in reader.said)
    assert any(re.search(r"hold_stock +undone", said) for said in reader.said)
    assert (tmp_path / "shop" / "saga-coverage.html").is_file()


def test_the_picture_of_the_new_project_shows_its_diagram() -> None:
    """Else: python -m sagaworks.picture FILE.bpmn > docs/pictures/new_place_order.svg."""
    picture = PAGE.with_name("pictures") / "new_place_order.svg"

    assert picture.read_text() == draw(TEMPLATE / "bpmn" / "place_order.bpmn")
