"""What no file of the project does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGES, ROOT, files_of, imports_of, name_of, tree_of

NOT_OURS = {".git", ".venv", ".sagaworks", "site", "node_modules", "__pycache__", "dist", "build"}
CACHES = re.compile(r"\..*_cache|\.hypothesis")
OF_A_MACHINE = re.compile(r"(?<![\w./:])/(?:home|root|Users|mnt|work)/")
UNSAFE_CALLS = {"eval", "exec", "os.system", "os.popen"}
UNSAFE_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
ALL = pytest.mark.parametrize("path", files_of(*PACKAGES), ids=name_of)


def texts() -> Iterator[Path]:
    """Every file of the project that is text, whatever tools have made left out."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        made_by_tools = not NOT_OURS.isdisjoint(parts) or any(map(CACHES.fullmatch, parts))
        if not made_by_tools and path.is_file() and b"\0" not in path.read_bytes()[:1024]:
            yield path


@ALL
def test_each_module_says_what_it_is(path: Path) -> None:
    said = ast.get_docstring(tree_of(path)) or ""

    assert said, "no docstring"
    assert "various" not in said.lower()


@ALL
def test_nothing_is_unpickled(path: Path) -> None:
    assert [found for found in imports_of(path) if found.module in UNSAFE_MODULES] == []


@ALL
def test_no_text_is_run_as_code_or_by_a_shell(path: Path) -> None:
    calls = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    unsafe = [call.lineno for call in calls if ast.unparse(call.func) in UNSAFE_CALLS]
    shells = [
        call.lineno
        for call in calls
        for keyword in call.keywords
        if keyword.arg == "shell" and ast.unparse(keyword.value) != "False"
    ]

    assert (unsafe, shells) == ([], [])


def test_no_file_names_a_place_on_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if OF_A_MACHINE.search(line)
    ]

    assert found == []


@pytest.mark.parametrize(
    "lock", sorted(ROOT.glob("requirements*.lock")), ids=lambda lock: lock.name
)
def test_a_lock_names_hashes_and_no_registry(lock: Path) -> None:
    text = lock.read_text()
    pinned = re.findall(r"^[a-z0-9-]+==", text, re.MULTILINE)
    unhashed = re.findall(r"^[a-z0-9-]+==(?!.*\\$).*$", text, re.MULTILINE)

    assert pinned
    assert unhashed == []
    assert "://" not in text
    assert "index-url" not in text
