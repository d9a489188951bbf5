"""A project made from the wheel, in an environment with nothing but the wheel and its extras."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
EXTRAS = ("engine", "testing")
SERVES_WITHIN = 60.0
"""Seconds until both workers take jobs; the engine's start is in it."""

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and links to what it says that it needs.

    Links instead of an installation: it takes a second and no network, and a package that the
    wheel doesn't name is missing all the same.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    for needed in closure("sagaworks", EXTRAS):
        link(needed, packages)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    pip(
        "--python", str(folder / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel)
    )
    return folder / "bin" / "python"


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


@pytest.fixture(scope="module")
def shop(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The new project; an engine that it leaves running is stopped."""
    where = tmp_path_factory.mktemp("where")
    made = run([str(environment.with_name("sagaworks")), "new", "shop"], where)
    assert made.returncode == 0, made.stdout
    yield where / "shop"
    make(where / "shop", environment, "down")


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=clean(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def make(folder: Path, python: Path, *targets: str) -> subprocess.CompletedProcess[str]:
    return run(["make", f"PYTHON={python}", *targets], folder)


def clean() -> dict[str, str]:
    """The environment without what would lead back to this repository."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_the_environment_has_no_tools_of_ours(environment: Path) -> None:
    script = (
        "import importlib.util as u; print([u.find_spec(n) for n in ('mypy', 'xdist', 'docker')])"
    )

    ran = run([str(environment), "-c", script], environment.parent)

    assert ran.stdout == "[None, None, None]\n"


def test_its_tests_pass_and_cover_its_diagram(shop: Path, environment: Path) -> None:
    ran = make(shop, environment, "test")

    assert ran.returncode == 0, ran.stdout
    assert re.search(r"6 passed", ran.stdout), ran.stdout
    assert "total 100 %" in ran.stdout


def test_it_runs_an_order_that_is_paid_and_one_that_is_undone(
    shop: Path, environment: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with log.open("w") as output:
        running = subprocess.Popen(
            ["make", f"PYTHON={environment}", "run"],
            cwd=shop,
            env=clean(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        await_words(running, log, "inventory takes jobs", "payments takes jobs")
        make(shop, environment, "order")
        make(shop, environment, "order", "KEY=order-2", "CENTS=999999")
        await_words(running, log, "order-1 charge_card", "order-2 release_stock")
        paid, undone = (
            make(shop, environment, "trail", f"KEY={key}").stdout for key in ("order-1", "order-2")
        )
    finally:
        os.killpg(running.pid, signal.SIGINT)  # as Ctrl-C does
        running.wait(30)

    assert log.read_text().count("stopped; 0 jobs left unfinished") == 2
    assert "Traceback" not in log.read_text()
    assert re.search(r"payments +charge_card +executed", paid), paid
    assert re.search(r"inventory +hold_stock +undone", undone), undone


def await_words(running: subprocess.Popen[bytes], log: Path, *words: str) -> None:
    """Wait until all of these are in the log."""
    until = time.monotonic() + SERVES_WITHIN
    while not all(word in log.read_text() for word in words):
        assert running.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
