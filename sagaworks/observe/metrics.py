"""A worker's metrics, for Prometheus. No label carries a key of a saga or of a job."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from sagaworks import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

# Seven buckets instead of the client's fourteen: a worker of 20 tasks stays far below 500 series.
_BUCKETS: Final = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)

_GROUPS: Final = (1, 2, 4, 8, 16, 32, 64)


class WorkerMetrics:
    """What one worker counts and measures.

    Attributes:
        jobs: ``sagaworks_jobs_total{step,outcome}``, jobs handled.
        outcomes: ``sagaworks_outcomes_total{step,outcome}``, what the ledger and the reconciler
            made of jobs and effects: each word of docs/concepts/outcomes.
        step_seconds: ``sagaworks_step_seconds{step}``, how long the step's own function took.
        group_jobs: ``sagaworks_group_jobs{step}``, how many jobs shared a transaction.
        groups_broken: ``sagaworks_groups_broken_total{step}``, groups whose jobs each ran alone.
        jobs_in_flight: jobs taken and not yet reported.
        job_reports: ``sagaworks_job_reports_total{command,code}``, what the engine answered to
            complete, fail and throw; the code is gRPC's.
        in_doubt: effects of which it isn't known whether the engine counts them; asked at each
            scrape, see `watch_in_doubt`.
        engine_connected: 1 or 0.
        last_contact: Unix time of the engine's last answer.
        draining: 1 once the worker was told to stop.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register everything with `registry`."""
        # They double the series and say only when the process first counted something.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry: Final = registry
        self.jobs: Final = Counter(
            "sagaworks_jobs", "Jobs handled.", ["step", "outcome"], registry=registry
        )
        self.outcomes: Final = Counter(
            "sagaworks_outcomes",
            "What became of jobs and effects.",
            ["step", "outcome"],
            registry=registry,
        )
        self.step_seconds: Final = Histogram(
            "sagaworks_step_seconds",
            "Seconds spent in the step's own function.",
            ["step"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.group_jobs: Final = Histogram(
            "sagaworks_group_jobs",
            "Jobs that a thread took up at once; those of a group share a transaction.",
            ["step"],
            buckets=_GROUPS,
            registry=registry,
        )
        self.groups_broken: Final = Counter(
            "sagaworks_groups_broken",
            "Groups that were rolled back; each job of them ran alone.",
            ["step"],
            registry=registry,
        )
        self.job_reports: Final = Counter(
            "sagaworks_job_reports",
            "The engine's answers to reports of jobs.",
            ["command", "code"],
            registry=registry,
        )
        self.jobs_in_flight: Final = _gauge(
            registry, "sagaworks_jobs_in_flight", "Jobs taken and not yet reported."
        )
        self.in_doubt: Final = _gauge(
            registry, "sagaworks_in_doubt", "Effects the engine may or may not count as done."
        )
        self.engine_connected: Final = _gauge(
            registry, "sagaworks_engine_connected", "Whether the engine answers: 1 or 0."
        )
        self.last_contact: Final = _gauge(
            registry,
            "sagaworks_last_contact_timestamp_seconds",
            "Unix time of the engine's last answer.",
        )
        self.draining: Final = _gauge(
            registry, "sagaworks_draining", "Whether the worker was told to stop: 1 or 0."
        )
        counted = (self.jobs, self.outcomes, self.job_reports, self.step_seconds, self.group_jobs)
        for metric in counted:
            _remember_series(metric)
        build = Gauge(
            "sagaworks_build_info", "The library's version.", ["version"], registry=registry
        )
        build.labels(__version__).set(1)
        ProcessCollector(registry=registry)

    def watch_in_doubt(self, count: Callable[[], float]) -> None:
        """Ask `count` at each scrape; where it fails the gauge says NaN and the rest is served."""

        def safely() -> float:
            try:
                return count()
            except Exception:  # noqa: BLE001  a locked database must not take /metrics away
                return math.nan

        self.in_doubt.set_function(safely)


def _gauge(registry: CollectorRegistry, name: str, what: str) -> Gauge:
    return Gauge(name, what, registry=registry)


def _remember_series(metric: Counter | Histogram) -> None:
    """Have a metric that each job counts in find its series at once, without a lock."""
    setattr(metric, "labels", cache(metric.labels))  # noqa: B010  no type checker would allow it
