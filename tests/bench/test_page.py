"""A page's figures are the results' figures."""

import pytest

from bench.errors import BenchError
from bench.page import renewed
from tests.bench.samples import made_up

RESULTS = made_up(
    3, sagaworks={"per_second": [90, 88, 93]}, pyzeebe_tuned={"per_second": [75, 80, 78]}
)


def test_a_figure_in_a_sentence_is_written_afresh() -> None:
    mark = "<!-- figure: median sagaworks saturated per_second -->"

    found = renewed(f"It carried {mark}7<!-- end --> a second.", RESULTS)

    assert found == f"It carried {mark}90.0<!-- end --> a second."


def test_a_ratio_is_that_of_the_rounds() -> None:
    mark = "<!-- figure: ratio sagaworks pyzeebe-tuned saturated per_second -->"

    assert renewed(f"{mark}<!-- end -->", RESULTS) == f"{mark}1.19 (1.10 to 1.20)<!-- end -->"


def test_a_page_that_is_fresh_stays_as_it_is() -> None:
    page = "<!-- figure: table open --><!-- end -->\n<!-- figure: verdicts -->\nold\n<!-- end -->"
    fresh = renewed(page, RESULTS)

    assert "| sagaworks |" in fresh
    assert "old" not in fresh
    assert renewed(fresh, RESULTS) == fresh


@pytest.mark.parametrize(
    "what",
    ["median nobody open p99_ms", "median sagaworks idle p99_ms", "tables", "soak worker_mb"],
)
def test_a_figure_that_isnt_in_the_results_is_one_line(what: str) -> None:
    with pytest.raises(BenchError, match=f"figure: {what}: not in the results"):
        renewed(f"<!-- figure: {what} -->1<!-- end -->", RESULTS)
