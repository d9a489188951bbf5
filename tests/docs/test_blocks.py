"""Every block of README and docs is the code's own, or is run, or its commands exist."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from sagaworks.cli import app
from sagaworks.project import Project
from tests.docs.pages import ROOT, Block, blocks, name_of, pages, script

CUT = script("cut")
GENERATED = Path("docs/reference")
TUTORIAL = Path("docs/tutorial.md")
"""Its blocks are run, one after the other, by tests/new/test_tutorial.py."""

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z]+) +\?=", (ROOT / "Makefile").read_text(), re.MULTILINE))


def each(found: list[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", found, ids=name_of)


@pytest.mark.parametrize("page", pages(), ids=str)
def test_marked_blocks_equal_their_files(page: Path) -> None:
    text = (ROOT / page).read_text()

    assert CUT.renewed(text) == text, "run `make cut`"


def test_a_block_that_differs_from_its_file_is_noticed() -> None:
    page = "<!-- from workers/inventory.py OutOfStock -->\n```python\nclass OutOfStock: ...\n```\n"

    assert "fewer units than the order asks for" in CUT.renewed(page)


def test_a_block_of_something_that_is_gone_is_noticed() -> None:
    with pytest.raises(LookupError, match="no definition of hold_shelf"):
        CUT.cut("workers/inventory.py", "hold_shelf")


def is_run_elsewhere(block: Block) -> bool:
    return GENERATED in block.page.parents or (block.page == TUTORIAL and not block.cut)


@each([block for block in blocks("python") if not is_run_elsewhere(block)])
def test_python_runs(block: Block, request: pytest.FixtureRequest) -> None:
    if block.cut:
        compile(block.text, name_of(block), "exec")
        return
    if "sagaworks.testing.servers" in block.text:
        request.getfixturevalue("postgresql")  # where there is none, it is not run

    ran = subprocess.run(
        [sys.executable, "-c", block.text], cwd=ROOT, check=False, capture_output=True, text=True
    )

    assert ran.returncode == 0, ran.stderr


@each(blocks("toml", "json"))
def test_data_parses(block: Block) -> None:
    parse = {"toml": tomllib.loads, "json": json.loads}[block.language]

    assert parse(block.text)


@each([block for block in blocks("sh", "console", "bash", "shell") if block.page != TUTORIAL])
def test_every_command_exists(block: Block) -> None:
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"export|[A-Z_]+=\S*", words[0]):
            words.pop(0)
        if words:
            check_command(Path(words[0]).name, words[1:])


def test_each_block_says_its_language() -> None:
    silent = [name_of(block) for block in blocks("") if not block.cut]

    assert silent == []


def check_command(program: str, arguments: list[str]) -> None:
    """Fail if the program isn't known or wouldn't understand the arguments."""
    known = {"make": check_make, "sagaworks": check_sagaworks, "python": check_python}
    assert program in known, f"no way to check {program}"
    known[program](arguments)


def check_make(arguments: list[str]) -> None:
    for word in arguments:
        name, is_variable, _ = word.partition("=")
        assert name in (VARIABLES if is_variable else TARGETS), word


def check_python(arguments: list[str]) -> None:
    assert arguments[0] == "-m", arguments
    module, *rest = arguments[1:]
    if module == "workers":
        assert rest[0] in Project.load(ROOT).service_names()
    elif module == "pip":
        files = [after for word, after in pairwise(rest) if word == "-r"]
        assert all((ROOT / file).is_file() for file in files)
    elif module == "pytest":
        options = {word.partition("=")[0] for word in rest if word.startswith("-")}
        assert options <= set(re.findall(r"^  .*?(--[a-z-]+)", pytest_help(), re.MULTILINE))
    else:
        assert module == "demo", module


@cache
def pytest_help() -> str:
    command = [sys.executable, "-m", "pytest", "--help"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def check_sagaworks(arguments: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    context = command.make_context("sagaworks", list(arguments), resilient_parsing=True)
    words = list(arguments)
    while hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, name
        command = command.commands[name]
        context = command.make_context(name, list(words), parent=context)
