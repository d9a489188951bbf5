"""The project's own Python files, and what each of them imports."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = ("sagaworks", "workers", "models", "demo", "bench")
TEMPLATE = ROOT / "sagaworks" / "new" / "template"  # a project of its own, with its own packages


class Import(NamedTuple):
    """One imported module; `typing_only` stands behind `if TYPE_CHECKING`."""

    module: str
    line: int
    typing_only: bool


def files_of(*folders: str) -> list[Path]:
    """The Python files below these folders of the project, sorted."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if TEMPLATE not in path.parents)


def name_of(path: Path) -> str:
    """The dotted name of a file: ``sagaworks/engine/__init__.py`` -> ``sagaworks.engine``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    """Every import of the file, those inside functions too."""
    tree = tree_of(path)
    hidden = {id(node) for block in _typing_blocks(tree) for node in ast.walk(block)}
    return tuple(
        Import(module, node.lineno, id(node) in hidden)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in _modules(node)
    )


def reached_from(*modules: str) -> set[str]:
    """Every module of the project, and every other package, that these can import when they run."""
    reached: set[str] = set()
    waiting = [*modules]
    while waiting:
        module = waiting.pop()
        if module in reached:
            continue
        reached.add(module)
        waiting += [*_parents(module)]
        if path := _file_of(module):
            waiting += [found.module for found in imports_of(path) if not found.typing_only]
    return reached


def _typing_blocks(tree: ast.Module) -> Iterator[ast.If]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield node


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.level == 0, "imports are absolute"
    base = str(node.module)
    below = [f"{base}.{alias.name}" for alias in node.names]
    return [base, *(module for module in below if _file_of(module))]


def _parents(module: str) -> Iterator[str]:
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


def _file_of(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
