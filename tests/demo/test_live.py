from collections import Counter
from io import StringIO

import pytest
from rich.console import Console

from demo import live
from demo.live import Progress, draw, showing
from demo.readings import read_jobs

COUNTS = Counter(
    {
        ("accept_order", "executed"): 95,
        ("accept_order", "refused"): 4,
        ("hold_stock", "executed"): 88,
        ("hold_stock", "refused"): 7,
        ("charge_card", "executed"): 76,
        ("charge_card", "refused"): 7,
        ("charge_card", "retry"): 5,
        ("ship_stock", "executed"): 60,
        ("reject_order", "compensated"): 20,
        ("reject_order", "replayed"): 1,
    }
)


def shown(progress: Progress) -> str:
    console = Console(file=StringIO(), width=80)
    console.print(draw(progress))
    return console.file.getvalue()


def test_progress_tells_done_undone_refused_and_in_flight() -> None:
    progress = Progress(100, started=99, counts=COUNTS)

    assert (progress.done, progress.undone, progress.refused) == (60, 20, 4)
    assert progress.in_flight == 15


def test_the_table_has_a_row_for_each_step_and_fits_a_narrow_terminal() -> None:
    text = shown(Progress(100, started=99, counts=COUNTS))

    for name in ("accept_order", "release_stock", "cancel_shipment", "ship_stock"):
        assert name in text
    assert "…" not in text


def test_retries_are_counted_apart() -> None:
    row = next(line for line in shown(Progress(1, counts=COUNTS)).splitlines() if "charge" in line)

    assert row.split()[:5] == ["charge_card", "payments", "76", "7", "5"]


def test_progress_can_be_drawn_before_anything_is_known() -> None:
    assert "0 of 7 started" in shown(Progress(7))


def test_without_a_terminal_a_line_comes_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LINE_EVERY", 0.0)
    console = Console(file=StringIO(), width=80)

    with showing(console) as show:
        show(Progress(7))

    assert console.file.getvalue().count("\n") == 1


def test_on_a_terminal_the_table_is_live() -> None:
    console = Console(file=StringIO(), width=80, force_terminal=True)

    with showing(console) as show:
        show(Progress(7))

    assert "step by step" in console.file.getvalue()


def test_the_counts_are_read_from_a_workers_metrics() -> None:
    metrics = """
# HELP sagaworks_jobs_total Jobs handled.
# TYPE sagaworks_jobs_total counter
sagaworks_jobs_total{outcome="executed",step="hold_stock"} 12.0
sagaworks_jobs_total{outcome="refused",step="hold_stock"} 3.0
# HELP sagaworks_draining Whether the worker was told to stop: 1 or 0.
# TYPE sagaworks_draining gauge
sagaworks_draining 0.0
"""
    assert read_jobs(metrics) == {("hold_stock", "executed"): 12, ("hold_stock", "refused"): 3}
