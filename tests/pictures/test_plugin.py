"""`pytest --saga-report=FILE`, run as a person runs it: in a process of its own."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pictures.orders import KEYS, PLACE_ORDER, ROOT

TESTS = """
import pytest
from sagaworks.testing.coverage.plugin import note_records
from tests.pictures.orders import KEYS, records


@pytest.mark.parametrize("key", KEYS)
def test_an_order(pytestconfig, request, key):
    note_records(pytestconfig, [*of(key)], request.node.nodeid)


def of(key):
    named = {record["value"]["processInstanceKey"]: record["value"]["value"] for record in records()
        if record["valueType"] == "VARIABLE"}
    for record in records():
        instance = record["value"].get("processInstanceKey")
        if record["valueType"] == "PROCESS" or named.get(instance) == f'"{key}"':
            yield record
"""
PROJECT = "[tool.sagaworks]\nservices = ['workers.orders:orders']\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a diagram, and a test for each of nine orders."""
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


def data_of(file: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', file.read_text())
    assert found
    data: dict[str, Any] = json.loads(found.group(1))
    return data


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_the_page_holds_each_tests_saga_by_the_tests_name(
    project: Path, workers: list[str]
) -> None:
    ran = run(project, "--saga-report=out/sagas.html", *workers)

    assert ran.returncode == 0, ran.stdout
    assert f"9 sagas: {project / 'out' / 'sagas.html'}" in ran.stdout.splitlines()
    data = data_of(project / "out" / "sagas.html")
    tests = {saga[0]: data["texts"][saga[5]] for saga in data["sagas"]}
    assert tests == {key: f"test_orders.py::test_an_order[{key}]" for key in KEYS}
    assert len(data["diagrams"]) == 1


def test_a_diagram_that_no_test_ran_is_shown_too(project: Path) -> None:
    ran = run(project, "--saga-report=sagas.html", "-k", "nothing-of-this-name")

    assert f"0 sagas: {project / 'sagas.html'}" in ran.stdout.splitlines()
    assert data_of(project / "sagas.html")["diagrams"][0]["process"] == "place_order"


def test_a_worker_that_died_is_not_passed_over_in_silence(project: Path) -> None:
    (project / "test_death.py").write_text("import os\n\n\ndef test_it():\n    os._exit(3)\n")

    ran = run(project, "-n", "1", "--saga-report=sagas.html")

    assert "gw0 ended without a word; its sagas are missing" in ran.stdout


def test_report_and_coverage_are_told_side_by_side(project: Path) -> None:
    ran = run(project, "--saga-report=sagas.html", "--saga-coverage", "-k", "nothing-of-this-name")

    assert "place_order      0/25   0/13            0/4" in ran.stdout.splitlines()
    assert f"0 sagas: {project / 'sagas.html'}" in ran.stdout.splitlines()
