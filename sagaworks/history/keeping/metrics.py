"""What a kept history counts and measures, for Prometheus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from sagaworks.history.port import HistoryUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client import CollectorRegistry, Metric

    from sagaworks.history.keeping.store import Progress, Taken

_MILLIS: Final = 1000.0


class HistoryMetrics:
    """What `sagaworks history` shows at ``/metrics``.

    Attributes:
        records: ``sagaworks_history_records_total{meeting}``, new ones, and repeats that changed
            nothing.
        kept: ``sagaworks_history_kept_total``, the new ones that history keeps.
        unread: ``sagaworks_history_unread_total``, records that couldn't be read, kept aside.
        refused: ``sagaworks_history_refused_total``, batches that must come again.
        pruned: ``sagaworks_history_pruned_total``, records that were forgotten for their age.
        last_taken: Unix time of the last batch that was committed.
    """

    def __init__(
        self, registry: CollectorRegistry, progress: Callable[[], Sequence[Progress]]
    ) -> None:
        """Register everything with `registry`; `progress` is asked at each scrape."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry: Final = registry
        self._progress = progress
        self.records: Final = Counter(
            "sagaworks_history_records",
            "Records that came: new, or repeats.",
            ["meeting"],
            registry=registry,
        )
        self.kept: Final = Counter(
            "sagaworks_history_kept", "New records that history keeps.", registry=registry
        )
        self.refused: Final = Counter(
            "sagaworks_history_refused", "Batches that must come again.", registry=registry
        )
        self.unread: Final = Counter(
            "sagaworks_history_unread",
            "Records that can't be read: kept aside, what they may tell of is left undecided.",
            registry=registry,
        )
        self.pruned: Final = Counter(
            "sagaworks_history_pruned", "Records forgotten for their age.", registry=registry
        )
        self.last_taken: Final = Gauge(
            "sagaworks_history_last_taken_timestamp_seconds",
            "Unix time of the last batch that was committed.",
            registry=registry,
        )
        registry.register(self)
        ProcessCollector(registry=registry)

    def took(self, taken: Taken) -> None:
        """Count a batch."""
        self.records.labels("new").inc(taken.new)
        self.records.labels("repeat").inc(taken.repeats)
        self.kept.inc(taken.kept)
        self.unread.inc(taken.unread)
        self.last_taken.set_to_current_time()

    def collect(self) -> Iterable[Metric]:
        """Ask how far each partition has come; a database that's away takes nothing else away."""
        try:
            progress = self._progress()
        except HistoryUnavailable:
            progress = ()
        yield from _families(progress)

    def describe(self) -> Iterable[Metric]:
        """Name what `collect` gives, without asking."""
        return _families(())


def _families(progress: Sequence[Progress]) -> Iterable[Metric]:
    life = GaugeMetricFamily(
        "sagaworks_history_life", "The number of the engine's present life.", labels=["partition"]
    )
    age = GaugeMetricFamily(
        "sagaworks_history_last_record_age_seconds",
        "How long ago the engine wrote the last record that is here, by both clocks.",
        labels=["partition"],
    )
    missing = CounterMetricFamily(
        "sagaworks_history_missing",
        "Records that the exporter has counted and never delivered.",
        labels=["partition"],
    )
    for one in progress:
        label = [str(one.partition)]
        life.add_metric(label, one.life)
        age.add_metric(label, max(0.0, time.time() - one.newest / _MILLIS))
        missing.add_metric(label, one.missing)
    return life, age, missing
