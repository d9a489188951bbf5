"""Cut the code blocks of README and docs out of the real files; with `--check`, only compare.

A block is cut where a comment stands above it:

    <!-- from workers/inventory.py OutOfStock hold_stock -->   these definitions of a Python file
    <!-- from pyproject.toml [tool.sagaworks] -->              one table of a TOML file
    <!-- from workers/__main__.py -->                          the whole file
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"<!-- from (?P<file>\S+)(?: (?P<names>.*?))? -->\n(?P<fence>```\w*\n)(?P<body>.*?)```",
    re.DOTALL,
)


def pages() -> list[Path]:
    """Every page whose blocks are cut."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def renewed(page: str) -> str:
    """Return the page's text with every marked block cut afresh."""

    def cut_again(found: re.Match[str]) -> str:
        mark = found[0][: found.start("fence") - found.start()]
        return f"{mark}{found['fence']}{cut(found['file'], found['names'] or '')}```"

    return BLOCK.sub(cut_again, page)


def cut(file: str, names: str) -> str:
    """Return these definitions, or this table, or all of one of the project's files.

    Raises:
        LookupError: the file has nothing of that name.
    """
    text = (ROOT / file).read_text(encoding="utf-8")
    if not names:
        return text
    if names.startswith("["):
        return _table(text, names)
    return "\n\n".join(_definition(text, name) for name in names.split())


def _table(text: str, header: str) -> str:
    start = text.find(f"\n{header}\n") + 1
    if not start:
        raise LookupError(f"no table {header}")
    end = text.find("\n[", start)
    return text[start:end].rstrip("\n") + "\n"


def _definition(text: str, name: str) -> str:
    for node in ast.parse(text).body:
        if name in _names_of(node):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno]) + "\n"
    raise LookupError(f"no definition of {name}")


def _names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign):
        return [ast.unparse(target) for target in node.targets]
    return [str(getattr(node, "name", ""))]


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them; return the exit code: 3 if a page is stale."""
    stale = [page for page in pages() if renewed(page.read_text()) != page.read_text()]
    for page in stale:
        if "--check" in arguments:
            print(f"{page.relative_to(ROOT)}: a block differs from its file; run `make cut`")
        else:
            page.write_text(renewed(page.read_text()))
            print(f"{page.relative_to(ROOT)}: written")
    return 3 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
