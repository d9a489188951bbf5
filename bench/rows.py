"""One measurement: one subject under one load in one round."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured. Times of CPU are milliseconds for each saga that ended.

    Attributes:
        load: ``open`` (so many a second on schedule) or ``saturated`` (so many in flight).
        sagas: that ended while it was measured.
        p50_ms, p99_ms: from when a saga was due to its end.
        unended: sagas that hadn't ended when the load was over and its time to drain too.
        worker_ms: of the three services' processes together.
        history_ms: of the history beside the engine; None where there was none.
        starter_ms: of the process that starts the sagas, which is the benchmark's.
        worker_mb: resident memory of the largest of the three.
        workers_mb: of the three together.
        refused_starts: by the engine's backpressure, tried again.
        others_percent: processors' time that others took meanwhile; 100 is one processor.
        missing: effects that the databases should have and haven't; None where sagas hadn't ended.
        doubled: effects that a saga had more than once; None for a subject without effects.
    """

    round: int
    subject: str
    load: str
    seconds: float
    sagas: int
    per_second: float
    p50_ms: float
    p99_ms: float
    unended: int
    engine_ms: float
    worker_ms: float
    database_ms: float
    starter_ms: float
    worker_mb: float
    workers_mb: float
    refused_starts: int
    others_percent: float
    history_ms: float | None = None
    missing: int | None = None
    doubled: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it for a file, rounded to what means something."""
        return {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """Read it from a file."""
        known: dict[str, Any] = {field.name: told.get(field.name) for field in fields(cls)}
        return cls(**known)
