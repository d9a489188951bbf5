"""A project made from the wheel, in an environment with nothing but the wheel and its extras."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.new.running import running

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def shop(clean: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The new project; an engine that it leaves running is stopped."""
    where = tmp_path_factory.mktemp("where")
    made = run(["sagaworks", "new", "shop"], where, clean)
    assert made.returncode == 0, made.stdout
    yield where / "shop"
    run(["make", "down"], where / "shop", clean)


def run(
    command: list[str], folder: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_the_environment_has_no_tools_of_ours(clean: Mapping[str, str], tmp_path: Path) -> None:
    names = "('mypy', 'xdist', 'docker')"
    script = f"import importlib.util as u; print([u.find_spec(n) for n in {names}])"

    assert run(["python", "-c", script], tmp_path, clean).stdout == "[None, None, None]\n"


def test_its_tests_pass_and_cover_its_diagram(shop: Path, clean: Mapping[str, str]) -> None:
    ran = run(["make", "test"], shop, clean)

    assert ran.returncode == 0, ran.stdout
    assert "6 passed" in ran.stdout
    assert "total 100 %" in ran.stdout


def test_it_runs_an_order_that_is_paid_and_one_that_is_undone(
    shop: Path, clean: Mapping[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running(["make", "run"], shop, log, clean) as services:
        services.wait_for("inventory takes jobs", "payments takes jobs")
        run(["make", "order"], shop, clean)
        run(["make", "order", "KEY=order-2", "CENTS=999999"], shop, clean)
        services.wait_for("order-1 charge_card", "order-2 release_stock")
        paid, undone = (
            run(["make", "trail", f"KEY={key}"], shop, clean).stdout
            for key in ("order-1", "order-2")
        )

    assert log.read_text().count("stopped; 0 jobs left unfinished") == 2
    assert "Traceback" not in log.read_text()
    assert re.search(r"payments +charge_card +executed", paid), paid
    assert re.search(r"inventory +hold_stock +undone", undone), undone
