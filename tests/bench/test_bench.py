"""The benchmark runs: engine, databases, every subject, for moments only. It proves no figure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.results import Results
from bench.subjects.listed import SUBJECTS

PARTS = ("engine_ms", "worker_ms", "database_ms", "history_ms", "starter_ms")

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    options = ("--rounds", "2", "--seconds", "1", "--warm-up", "0", "--ramp", "0.2")
    load = ("--rate", "5", "--in-flight", "4")
    places = ("--data", str(folder / "data"), "--results", str(folder / "latest.json"))

    command = [sys.executable, "-m", "bench", *options, *load, *places]
    # In a process of its own: it takes over the signals.
    ran = subprocess.run(command, capture_output=True, text=True, timeout=380, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder / "latest.json"


def test_every_subject_is_measured_in_each_round(told: Path) -> None:
    results = Results.load(told)

    assert results.failures == []
    for subject in SUBJECTS:
        for load in subject.loads:
            assert list(results.measured(subject.name, load, "per_second")) == [1, 2]


def test_no_effect_is_missing_and_none_is_doubled(told: Path) -> None:
    for row in Results.load(told).rows:
        if row.subject != "no-op":
            # What pyzeebe's defaults leave under way isn't waited for.
            expected = (0, None) if row.subject == "pyzeebe-defaults" else (0,)

            assert row.missing in expected
            assert row.doubled == 0


def test_each_part_uses_cpu_of_its_own(told: Path) -> None:
    rows = Results.load(told).rows
    used = {part: sum(getattr(row, part) for row in rows) for part in PARTS}

    # A single row of a second may be less than the kernel's clock ticks.
    assert all(used.values())


def test_the_file_tells_programs_what_the_figures_depend_on(told: Path) -> None:
    found = json.loads(told.read_text())

    assert found["complete"] is True
    assert {"processors", "processor", "engine", "packages", "postgresql"} <= set(found["machine"])
    assert found["machine"]["postgresql"]["fsync"] == "on"
    assert found["settings"]["in_flight"] == 4
    assert told.with_suffix(".svg").read_text().startswith("<?xml")
