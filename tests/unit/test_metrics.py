"""Metrics: the promised names, few series, and no key of a saga in any label."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sagaworks.observe.metrics import WorkerMetrics

TASKS = [f"step_{number}" for number in range(20)]
OUTCOMES = [
    *["executed", "replayed", "refused", "late", "adopted", "repeated", "duplicate"],
    *["compensated", "fenced", "retried", "halted"],
]
COMMANDS = ("complete", "fail", "throw")
CODES = ("OK", "NOT_FOUND", "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL")


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics(CollectorRegistry())


def scrape(metrics: WorkerMetrics) -> list[str]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def use_all(metrics: WorkerMetrics) -> None:
    for step in TASKS:
        metrics.step_seconds.labels(step).observe(0.1)
        for outcome in OUTCOMES:
            metrics.jobs.labels(step, outcome).inc()
    for command in COMMANDS:
        for code in CODES:
            metrics.job_reports.labels(command, code).inc()


def test_the_promised_names_are_there(metrics: WorkerMetrics) -> None:
    use_all(metrics)

    found = {line.partition("{")[0].partition(" ")[0] for line in scrape(metrics)}

    assert found >= {
        "sagaworks_jobs_total",
        "sagaworks_step_seconds_bucket",
        "sagaworks_jobs_in_flight",
        "sagaworks_job_reports_total",
        "sagaworks_in_doubt",
        "sagaworks_engine_connected",
        "sagaworks_last_contact_timestamp_seconds",
        "sagaworks_draining",
        "sagaworks_build_info",
        "process_resident_memory_bytes",
    }


def test_a_worker_of_twenty_tasks_stays_below_500_series(metrics: WorkerMetrics) -> None:
    use_all(metrics)

    assert len(scrape(metrics)) < 500


def test_no_label_takes_a_key_of_a_saga_or_a_job(metrics: WorkerMetrics) -> None:
    use_all(metrics)

    labels = {
        label
        for metric in metrics.registry.collect()
        if metric.name.startswith("sagaworks_")
        for sample in metric.samples
        for label in sample.labels
    }

    assert labels == {"step", "outcome", "command", "code", "version", "le"}


def test_effects_in_doubt_are_counted_when_asked(metrics: WorkerMetrics) -> None:
    counts = iter([3, 5])
    metrics.watch_in_doubt(lambda: next(counts))

    assert metrics.registry.get_sample_value("sagaworks_in_doubt") == 3
    assert metrics.registry.get_sample_value("sagaworks_in_doubt") == 5


def test_a_locked_database_does_not_take_the_other_metrics_away(metrics: WorkerMetrics) -> None:
    def fail() -> float:
        raise OSError

    metrics.watch_in_doubt(fail)

    assert {"sagaworks_in_doubt NaN", "sagaworks_draining 0.0"} <= {*scrape(metrics)}


def test_two_workers_in_one_process_do_not_share_counters(metrics: WorkerMetrics) -> None:
    other = WorkerMetrics(CollectorRegistry())
    metrics.jobs.labels("hold_stock", "executed").inc()

    assert not any(line.startswith("sagaworks_jobs_total") for line in scrape(other))
