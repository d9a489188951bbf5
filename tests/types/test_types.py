"""The type checker rejects a compensation that takes another step's fact."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WRONG = [
    number
    for number, line in enumerate((HERE / "pairs.py").read_text().splitlines(), 1)
    if line.endswith("# wrong")
]


def check(file: str) -> list[str]:
    """Run mypy on one file; return its complaints."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(HERE / file)]
    ran = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    return [line for line in ran.stdout.splitlines() if f"{file}:" in line and ": error:" in line]


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    return check("pairs.py")


def test_a_right_pair_type_checks() -> None:
    assert check("right.py") == []


def test_each_wrong_line_is_rejected_and_no_other(complaints: list[str]) -> None:
    lines = {int(line.split(":")[1]) for line in complaints}

    assert sorted(lines) == WRONG


@pytest.mark.parametrize("pair", ["compensation", "record"])
def test_the_complaint_names_both_facts(complaints: list[str], pair: str) -> None:
    (first, *_) = [line for line in complaints if f'"{pair}"' in line]

    assert "StockHeld" in first
    assert "CardCharged" in first
