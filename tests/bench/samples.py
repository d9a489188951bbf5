"""Results made up for tests: as many rounds as wanted, each figure as wanted."""

from collections.abc import Mapping, Sequence

from bench.results import Results
from bench.rows import Row
from bench.subjects.listed import SUBJECTS

SETTINGS = {"rounds": 3, "seconds": 1.0, "in_flight": 100, "rate": 35.0, "ramp": 2.0}


def made_up(rounds: int = 3, **of_subjects: Mapping[str, Sequence[float]]) -> Results:
    """Return results in which every figure is 1, except those given for a subject by round."""
    results = Results(
        "2026-01-31T12:00:00+00:00",
        {"processors": 2},
        {**SETTINGS, "rounds": rounds},
        {subject.name: subject.what for subject in SUBJECTS},
    )
    for subject in SUBJECTS:
        given = of_subjects.get(subject.name.replace("-", "_"), {})
        for load in subject.loads:
            for number in range(1, rounds + 1):
                figures = {name: values[number - 1] for name, values in given.items()}
                results.rows.append(row(number, subject.name, load, **figures))
    return results


def row(number: int, subject: str, load: str, **figures: float) -> Row:
    """Return a row whose figures are 1, except those given."""
    names = ("seconds", "per_second", "p50_ms", "p99_ms", "engine_ms", "worker_ms", "database_ms")
    more = ("starter_ms", "history_ms", "worker_mb", "workers_mb", "others_percent")
    ones = dict.fromkeys((*names, *more), 1.0)
    return Row(
        round=number,
        subject=subject,
        load=load,
        sagas=1,
        unended=0,
        refused_starts=0,
        **(ones | figures),
    )
