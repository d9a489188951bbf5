"""`pytest --saga-coverage`, run as a person runs it: in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.coverage.samples import PLACE_ORDER, ROOT

TESTS = """
import os

from sagaworks.testing.coverage.plugin import note_records
from tests.coverage.samples import records_of


def test_a_shipped_order(pytestconfig):
    note_records(pytestconfig, records_of("shipped"))


def test_an_order_that_no_carrier_takes(pytestconfig):
    note_records(pytestconfig, records_of("no_carrier"))


def test_an_order_that_is_not_paid(pytestconfig):
    note_records(pytestconfig, records_of("overdue"))
"""
PROJECT = "[tool.sagaworks]\nservices = ['workers.orders:orders']\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a diagram and three tests of it, which go through all but one undo."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "bpmn").mkdir()
    (tmp_path / "bpmn" / "place_order.bpmn").write_bytes(PLACE_ORDER.read_bytes())
    (tmp_path / "test_orders.py").write_text(TESTS)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    return subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True
    )


def test_without_the_option_nothing_is_said(project: Path) -> None:
    ran = run(project)

    assert ran.returncode == 0
    assert "saga coverage" not in ran.stdout


def test_the_run_ends_with_a_table(project: Path) -> None:
    ran = run(project, "--saga-coverage")

    assert ran.returncode == 0
    lines = ran.stdout.splitlines()
    assert "place_order     23/25  13/13            3/4" in lines
    assert "  missing elements: book_shipment_undone_by, cancel_shipment" in lines


@pytest.mark.parametrize(
    "arguments, file",
    [
        (["--saga-coverage=html"], "saga-coverage.html"),
        (["--saga-coverage=html:out/of/tests.html"], "out/of/tests.html"),
    ],
)
def test_the_page_is_written_where_it_is_asked_for(
    project: Path, arguments: list[str], file: str
) -> None:
    ran = run(project, *arguments)

    assert f"pictures: {project / file}" in ran.stdout
    assert "Saga coverage: 92 %" in (project / file).read_text()


@pytest.mark.parametrize("least, code", [("92", 0), ("92.9", 1), ("100", 1)])
def test_too_little_fails_the_run(project: Path, least: str, code: int) -> None:
    """As pytest-cov: exit code 1, though each test has passed. It is 92.86 %."""
    ran = run(project, f"--saga-coverage-fail-under={least}")

    assert ran.returncode == code
    complaint = f"FAIL saga coverage of {least} % is required, 92 % is reached"
    assert (complaint in ran.stdout) is (code == 1)


def test_the_workers_of_xdist_add_up(project: Path) -> None:
    ran = run(project, "-n", "2", "--saga-coverage=html")

    assert ran.returncode == 0, ran.stdout
    assert "place_order     23/25  13/13            3/4" in ran.stdout.splitlines()
    assert ran.stdout.count("saga coverage") == 1
    assert "Saga coverage: 92 %" in (project / "saga-coverage.html").read_text()


def test_the_workers_of_xdist_fail_the_run_together(project: Path) -> None:
    assert run(project, "-n", "2", "--saga-coverage-fail-under=92").returncode == 0
    assert run(project, "-n", "2", "--saga-coverage-fail-under=93").returncode == 1


def test_a_worker_that_died_is_not_passed_over_in_silence(project: Path) -> None:
    (project / "test_death.py").write_text("import os\n\n\ndef test_it():\n    os._exit(3)\n")

    ran = run(project, "-n", "1", "--saga-coverage")

    assert "gw0 ended without a word; what it went through isn't counted" in ran.stdout


def test_a_diagram_that_no_test_deployed_counts(project: Path) -> None:
    ran = run(project, "-k", "nothing", "--saga-coverage-fail-under=1")

    assert "place_order      0/25   0/13            0/4" in ran.stdout.splitlines()


def test_a_folder_without_a_project_counts_what_was_deployed(project: Path) -> None:
    (project / "pyproject.toml").unlink()

    ran = run(project, "--saga-coverage", "-k", "shipped", "--rootdir=.")

    assert "place_order      8/25   7/13            0/4" in ran.stdout.splitlines()


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--saga-coverage", "test_orders.py"], "put it behind the tests"),
        (["--saga-coverage=xml"], "html or html:FILE, not 'xml'"),
        (["--saga-coverage-fail-under=most"], "a percentage from 0 to 100, not 'most'"),
        (["--saga-coverage-fail-under=101"], "a percentage from 0 to 100, not '101'"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(
    project: Path, arguments: list[str], complaint: str
) -> None:
    ran = run(project, *arguments)

    assert ran.returncode == 4
    assert complaint in ran.stderr


def test_a_broken_project_is_refused_in_one_line(project: Path) -> None:
    (project / "bpmn" / "place_order.bpmn").unlink()

    ran = run(project, "--saga-coverage")

    assert ran.returncode != 0
    assert "--saga-coverage: [tool.sagaworks] diagrams: nothing matches" in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr


def test_a_run_without_coverage_does_not_import_what_it_needs(project: Path) -> None:
    """Every pytest run on the machine loads the plugin."""
    script = "import sys, sagaworks.testing.coverage.plugin; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()

    assert {"lxml", "grpc", "sqlmodel", "pydantic"}.isdisjoint(loaded)
