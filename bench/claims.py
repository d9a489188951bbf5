"""What Sagaworks promises of its speed, each promise judged by the rounds of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bench.intervals import Median, median_of

if TYPE_CHECKING:
    from bench.results import Results
    from bench.subjects.listed import Load

BARE: Final = "bare-step"
BARE_GROUP: Final = "bare-group"
"""The same under full load where what is judged groups its jobs."""

ByRound = Mapping[int, float]
Word = Literal["PASS", "FAIL", "not measured"]


@dataclass(frozen=True)
class Claim:
    """One promise.

    Attributes:
        figure: gives it by round; a ratio is formed within each round, so that what slows a whole
            round down slows both sides.
        target: the promise.
        at_least: whether more is better.
        bare: the same figure of a bare step or group, the most that a worker in Python can reach:
            it does less than any that keeps repeats apart.
    """

    text: str
    figure: Callable[[Results], ByRound]
    target: float
    at_least: bool
    unit: str = "x"
    bare: Callable[[Results], ByRound] | None = None


@dataclass(frozen=True)
class Verdict:
    """A promise and what was seen of it."""

    claim: Claim
    seen: Median | None
    bare: Median | None = None

    @property
    def word(self) -> Word:
        """PASS unless the interval excludes the promise."""
        if self.seen is None:
            return "not measured"
        best = self.seen.high if self.claim.at_least else self.seen.low
        kept = best >= self.claim.target if self.claim.at_least else best <= self.claim.target
        return "PASS" if kept else "FAIL"

    @property
    def median_keeps_it(self) -> bool:
        """Whether the median is on the promise's side: a wide interval excludes little."""
        if self.seen is None:
            return False
        target, value = self.claim.target, self.seen.value
        return value >= target if self.claim.at_least else value <= target

    @property
    def clear(self) -> bool:
        """Whether the whole interval is on the promise's side."""
        if self.seen is None:
            return False
        worst = self.seen.low if self.claim.at_least else self.seen.high
        return worst >= self.claim.target if self.claim.at_least else worst <= self.claim.target


def judge(results: Results) -> list[Verdict]:
    """Judge every promise by these rounds."""
    return [Verdict(one, _seen(one.figure, results), _seen(one.bare, results)) for one in CLAIMS]


def _seen(figure: Callable[[Results], ByRound] | None, results: Results) -> Median | None:
    values = [*figure(results).values()] if figure else []
    return median_of(values) if values else None


def ratio(ours: str, theirs: str, load: Load, figure: str) -> Callable[[Results], dict[int, float]]:
    """Return ours over theirs, in each round that has both."""

    def by_round(results: Results) -> dict[int, float]:
        above = results.measured(ours, load, figure)
        below = results.measured(theirs, load, figure)
        return {number: above[number] / below[number] for number in above if below.get(number)}

    return by_round


def plain(subject: str, load: Load, figure: str) -> Callable[[Results], dict[int, float]]:
    """Return a figure as it was measured."""
    return lambda results: results.measured(subject, load, figure)


def soaked(figure: str) -> Callable[[Results], dict[int, float]]:
    """Return a figure of the long run, which is one round."""
    return lambda results: {1: float(results.soak[figure])} if results.soak else {}


CLAIMS: Final = (
    Claim(
        "sagas/s over pyzeebe's defaults, 100 in flight",
        ratio("sagaworks", "pyzeebe-defaults", "saturated", "per_second"),
        15.0,
        at_least=True,
    ),
    Claim(
        "sagas/s over tuned, streaming pyzeebe, 100 in flight",
        ratio("sagaworks", "pyzeebe-tuned", "saturated", "per_second"),
        1.15,
        at_least=True,
        bare=ratio(BARE_GROUP, "pyzeebe-tuned", "saturated", "per_second"),
    ),
    Claim(
        "p99 at 35/s against pyzeebe's defaults",
        ratio("sagaworks", "pyzeebe-defaults", "open", "p99_ms"),
        1 / 5,
        at_least=False,
        bare=ratio(BARE, "pyzeebe-defaults", "open", "p99_ms"),
    ),
    Claim(
        "p99 at 35/s against tuned, streaming pyzeebe",
        ratio("sagaworks", "pyzeebe-tuned", "open", "p99_ms"),
        2 / 3,
        at_least=False,
        bare=ratio(BARE, "pyzeebe-tuned", "open", "p99_ms"),
    ),
    Claim(
        "engine's CPU a saga at 35/s against a polling client's",
        ratio("sagaworks", "pyzeebe-polling", "open", "engine_ms"),
        1 / 1.6,
        at_least=False,
        bare=ratio(BARE, "pyzeebe-polling", "open", "engine_ms"),
    ),
    Claim(
        "share of the engine's ceiling, each job alone",
        ratio("sagaworks-ungrouped", "no-op", "saturated", "per_second"),
        0.85,
        at_least=True,
        bare=ratio(BARE, "no-op", "saturated", "per_second"),
    ),
    Claim(
        "share of the engine's ceiling, as installed: grouped",
        ratio("sagaworks", "no-op", "saturated", "per_second"),
        0.90,
        at_least=True,
        bare=ratio(BARE_GROUP, "no-op", "saturated", "per_second"),
    ),
    Claim(
        "sagas/s with the ledger over without",
        ratio("sagaworks", "sagaworks-without-ledger", "saturated", "per_second"),
        0.95,
        at_least=True,
    ),
    Claim(
        "sagas/s with ledger and reconciler over without either",
        ratio("sagaworks-with-history", "sagaworks-without-ledger", "saturated", "per_second"),
        0.93,
        at_least=True,
    ),
    Claim(
        "workers' CPU a saga, 100 in flight",
        plain("sagaworks", "saturated", "worker_ms"),
        10.0,
        at_least=False,
        unit="ms",
        bare=plain(BARE_GROUP, "saturated", "worker_ms"),
    ),
    Claim(
        "workers' CPU a saga against tuned pyzeebe's, 100 in flight",
        ratio("sagaworks", "pyzeebe-tuned", "saturated", "worker_ms"),
        1.0,
        at_least=False,
        bare=ratio(BARE_GROUP, "pyzeebe-tuned", "saturated", "worker_ms"),
    ),
    Claim(
        "a worker's memory with 32 jobs in flight",
        soaked("worker_mb"),
        120.0,
        at_least=False,
        unit="MB",
    ),
    Claim(
        "its growth from the first half of a long run to its last quarter",
        soaked("growth"),
        1.05,
        at_least=False,
    ),
)
