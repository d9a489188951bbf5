"""Results are kept whole: written after each round, read again as they were."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench import plot, table
from bench.errors import BenchError
from bench.results import Results
from tests.bench.samples import made_up


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    results = made_up(2, sagaworks={"per_second": [90.125, 88.5]})
    results.soak = {"worker_mb": 90.0, "growth": 1.01}

    results.save(tmp_path / "some" / "latest.json")

    assert Results.load(tmp_path / "some" / "latest.json") == results


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    results = made_up(2)
    results.settings["rounds"] = 3

    results.save(tmp_path / "latest.json")

    assert json.loads((tmp_path / "latest.json").read_text())["complete"] is False


@pytest.mark.parametrize("text", ["", "{}", '{"rows": []}', '{"version": 0, "rows": []}'])
def test_a_file_of_another_shape_is_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "latest.json"
    file.write_text(text)

    with pytest.raises(BenchError, match=r"latest\.json"):
        Results.load(file)


def test_the_tables_fit_a_terminal() -> None:
    console = Console(width=100, record=True, file=None, force_terminal=False)

    with console.capture() as captured:
        table.show(made_up(6), console)

    assert "sagaworks-without-ledger" in captured.get()
    assert "PASS" in captured.get()


def test_a_run_from_before_there_was_a_history_shows_none() -> None:
    results = made_up(2, no_op={"per_second": [90, 88]})
    results.rows = [replace(row, history_ms=None) for row in results.rows]

    sheet = table.sheet_of(results, "saturated")

    assert "history ms" in table.sheet_of(made_up(2), "saturated").headings
    assert "history ms" not in sheet.headings
    assert {len(row) for row in sheet.rows} == {len(sheet.headings)}


def test_the_same_results_give_the_same_picture(tmp_path: Path) -> None:
    plot.draw(made_up(), tmp_path / "one.svg")
    plot.draw(made_up(), tmp_path / "two.svg")

    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.mark.parametrize("value, shown", [(6.4, "6.40"), (64.25, "64.2"), (10_700, "10,700")])
def test_a_figure_has_the_digits_that_mean_something(value: float, shown: str) -> None:
    assert table.number(value) == shown
