"""An environment with nothing but the wheel and what it says that it needs."""

import os
import subprocess
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
EXTRAS = ("engine", "testing")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment's Python.

    Links instead of an installation: it takes a second and no network, and a package that the
    wheel doesn't name is missing all the same.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    for needed in closure("sagaworks", EXTRAS):
        link(needed, packages)
    python = folder / "bin" / "python"
    wheels = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    pip("wheel", *wheels, str(ROOT))
    (wheel,) = folder.glob("*.whl")
    pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    return python


@pytest.fixture(scope="session")
def clean(environment: Path) -> dict[str, str]:
    """What a shell has in which the environment is active, and nothing leads back here."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, "PATH": f"{environment.parent}{os.pathsep}{kept['PATH']}"}


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, timeout=100)


def closure(name: str, extras: tuple[str, ...]) -> list[Distribution]:
    """All that a distribution needs with these extras, and what that needs; without itself."""
    found: dict[str, Distribution] = {}
    waiting, seen = [(name, extras)], set()
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        found[here[0]] = distribution(here[0])
        for line in found[here[0]].requires or []:
            needed = Requirement(line)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *here[1])):
                waiting.append((canonicalize_name(needed.name), tuple(sorted(needed.extras))))
    return [one for key, one in found.items() if key != name]


def link(one: Distribution, packages: Path) -> None:
    """Link a distribution's modules and metadata; its commands stay where they are."""
    for file in one.files or []:
        top = file.parts[0]
        target = packages / top
        if top not in ("..", "__pycache__") and not target.exists():
            target.symlink_to(Path(str(one.locate_file(top))))
