"""Writes the results into the pages that speak of them; with `--check`, only compares.

A figure stands between two marks, in the middle of a sentence or as a table of its own:

    <!-- figure: median sagaworks saturated per_second -->90.1<!-- end -->
    <!-- figure: ratio sagaworks pyzeebe-tuned open p99_ms -->0.51<!-- end -->
    <!-- figure: table saturated -->…<!-- end -->
    <!-- figure: verdicts -->…<!-- end -->
    <!-- figure: machine -->…<!-- end -->
    <!-- figure: soak worker_mb -->88.0<!-- end -->

So a page and the results it speaks of can't disagree.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from bench import plot
from bench.claims import ratio
from bench.errors import BenchError
from bench.intervals import Median, median_of
from bench.results import Results
from bench.subjects.listed import Load
from bench.table import markdown, number, sheet_of, verdicts

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "bench" / "results" / "latest.json"
PICTURE: Final = ROOT / "docs" / "pictures" / "bench.svg"
FIGURE: Final = re.compile(
    r"(<!-- figure: (?P<what>.+?) -->)(?P<body>.*?)(<!-- end -->)", re.DOTALL
)

OK, STALE = 0, 3


def renewed(page: str, results: Results) -> str:
    """Return the page's text with every marked figure written afresh.

    Raises:
        BenchError: a mark asks for what there isn't.
    """
    return FIGURE.sub(lambda found: f"{found[1]}{_written(found['what'], results)}{found[4]}", page)


def _written(what: str, results: Results) -> str:
    kind, *words = what.split()
    writers: dict[str, Callable[..., str]] = {
        "median": _median,
        "ratio": _ratio,
        "table": _table,
        "verdicts": _verdicts,
        "machine": _machine,
        "soak": _soak,
    }
    try:
        return writers[kind](results, *words)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchError(f"figure: {what}: not in the results ({error})") from error


def _median(results: Results, subject: str, load: str, figure: str) -> str:
    return number(median_of([*results.measured(subject, _load(load), figure).values()]).value)


def _ratio(results: Results, ours: str, theirs: str, load: str, figure: str) -> str:
    return _spread(median_of([*ratio(ours, theirs, _load(load), figure)(results).values()]))


def _table(results: Results, load: str) -> str:
    return f"\n{markdown(sheet_of(results, _load(load)))}"


def _verdicts(results: Results) -> str:
    return f"\n{markdown(verdicts(results))}"


def _machine(results: Results) -> str:
    machine, settings = results.machine, results.settings
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    database = machine["postgresql"]
    memory = round(machine["memory_mb"] / 1000)
    flushes = ", ".join(f"{name} {database[name]}" for name in ("fsync", "synchronous_commit"))
    lines = (
        f"{results.begun[:10]}: {len(results.rounds)} rounds, {settings['seconds']:g} s each load.",
        f"Measurements that failed: {len(results.failures)}.",
        f"{machine['processors']} processors ({machine['processor']}), {memory} GB memory.",
        f"Zeebe {machine['engine']} on {machine['java'].partition(' (')[0]}.",
        f"Python {machine['python']}; {packages}.",
        f"PostgreSQL {database['server_version'].partition(' ')[0]} ({flushes}).",
        f"Others took {_others(results)} % of one processor meanwhile.",
    )
    return "".join(f"\n- {line}" for line in lines) + "\n"


def _others(results: Results) -> str:
    seen = median_of([row.others_percent for row in results.rows])
    most = max(row.others_percent for row in results.rows)
    return f"{seen.value:.0f} (median; at most {most:.0f})"


def _soak(results: Results, figure: str) -> str:
    if results.soak is None:
        raise KeyError(figure)
    return number(results.soak[figure])


def _spread(seen: Median) -> str:
    return f"{number(seen.value)} ({number(seen.low)} to {number(seen.high)})"


def _load(word: str) -> Load:
    if word not in ("open", "saturated"):
        raise ValueError(f"no load {word}")
    return cast("Load", word)


def main(arguments: list[str]) -> int:
    """Write the pages and the picture, or compare the pages; return the exit code."""
    results = Results.load(RESULTS)
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    stale = [page for page in pages if renewed(page.read_text(), results) != page.read_text()]
    check = "--check" in arguments
    for page in stale:
        if not check:
            page.write_text(renewed(page.read_text(), results))
        said = "a figure differs from bench/results; run `make cut`" if check else "written"
        print(f"{page.relative_to(ROOT)}: {said}")  # noqa: T201
    if not check:
        plot.draw(results, PICTURE)
    return STALE if stale and check else OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
