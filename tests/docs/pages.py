"""The pages that people read, and the blocks and links in them."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """One fenced block; `cut` if it comes out of a real file."""

    page: Path
    line: int
    language: str
    text: str
    cut: bool


def pages() -> list[Path]:
    """README, changelog and every page of docs, as paths from the project's root."""
    found = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page.relative_to(ROOT) for page in found]


def blocks(*languages: str) -> list[Block]:
    """All blocks of these languages."""
    return [block for page in pages() for block in _blocks_of(page) if block.language in languages]


def links(page: Path) -> list[str]:
    """The targets of the page's links and pictures, outside of blocks."""
    return LINK.findall(FENCE.sub("", (ROOT / page).read_text()))


def name_of(block: Block) -> str:
    """What a test of the block is called."""
    return f"{block.page}:{block.line}"


def script(name: str) -> ModuleType:
    """One of the scripts in docs, imported."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _blocks_of(page: Path) -> Iterator[Block]:
    text = (ROOT / page).read_text()
    for found in FENCE.finditer(text):
        before = text[: found.start()]
        above = before.rstrip("\n").rpartition("\n")[2]
        line = before.count("\n") + 1
        yield Block(page, line, found[1], found[2], cut=above.startswith("<!-- from "))
