"""The coverage as one HTML page that needs nothing else: a table and the painted diagrams."""

from collections.abc import Iterator, Mapping
from html import escape
from string import Template
from typing import Final

from sagaworks.picture import PAINTS, Mark, State, draw
from sagaworks.testing.coverage.measure import DiagramCoverage, Report

LEGEND: Final[Mapping[State, str]] = {
    "covered": "gone through, and how often",
    "partly": "a throw event that passed, but didn't undo all that it can",
    "missed": "never gone through",
}

PAGE: Final = Template("""\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Saga coverage: $percent</title>
<style>
body { font: 15px/1.5 Arial, Helvetica, sans-serif; margin: 2rem; color: #22242a; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .3rem 1rem .3rem 0; text-align: right; border-bottom: 1px solid #d5d7dc; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; border: 1px solid #d5d7dc; border-radius: 12px; }
code { font-size: 14px; }
.key { display: inline-block; margin-right: 1.5rem; padding: 0 .6rem; border: 2px solid; }
</style>
<h1>Saga coverage: $percent</h1>
<table>
<tr><th>diagram</th><th>elements</th><th>flows</th><th>compensations</th></tr>
$rows
</table>
$notes
<p>$legend</p>
$diagrams
</html>
""")


def page(report: Report) -> str:
    """Return the page; names out of diagrams are text in it, never markup."""
    return PAGE.substitute(
        percent=report.shown_percent,
        rows="\n".join(map(_row, report.diagrams)),
        notes="\n".join(f"<p>{escape(note)}</p>" for note in report.notes),
        legend="".join(_legend()),
        diagrams="\n".join(map(_section, report.diagrams)),
    )


def marks(one: DiagramCoverage) -> dict[str, Mark]:
    """Return how each element and flow of the diagram is painted."""
    painted = {id_: _mark(times) for id_, times in one.elements.seen.items()}
    for throw in one.diagram.throws:
        undos = [times > 0 for (by, _), times in one.undos.items() if by == throw]
        if one.elements.seen[throw] and not all(undos):
            painted[throw] = Mark("partly", f"{sum(undos)}/{len(undos)}")
    flows = {id_: Mark("covered" if n else "missed") for id_, n in one.flows.seen.items()}
    return painted | flows


def _mark(times: int) -> Mark:
    return Mark("covered" if times else "missed", str(times))


def _row(one: DiagramCoverage) -> str:
    name = escape(one.diagram.process_id)
    cells = "".join(f"<td>{share}</td>" for share in one.shares.values())
    return f'<tr><td><a href="#{name}">{name}</a></td>{cells}</tr>'


def _section(one: DiagramCoverage) -> str:
    name = escape(one.diagram.process_id)
    picture = draw(one.diagram.path, marks(one), content=one.sighting.content or None)
    return "\n".join([f'<h2 id="{name}">{name}</h2>', *_missing(one), picture])


def _missing(one: DiagramCoverage) -> Iterator[str]:
    for kind, share in one.shares.items():
        if share.missing:
            names = ", ".join(f"<code>{escape(name)}</code>" for name in share.missing)
            yield f"<p>missing {kind}: {names}</p>"


def _legend() -> Iterator[str]:
    for state, means in LEGEND.items():
        paint = PAINTS[state]
        line = "dashed" if paint.dashes else "solid"
        style = f"background: {paint.fill}; border-color: {paint.line}; border-style: {line}"
        yield f'<span class="key" style="{style}">{means}</span>'
