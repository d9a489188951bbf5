"""The coverage as lines of text, for the end of a test run."""

from collections.abc import Iterator, Sequence

from sagaworks.testing.coverage.measure import DiagramCoverage, Report

HEADINGS = ("diagram", "elements", "flows", "compensations")


def table(report: Report) -> Iterator[str]:
    """Yield the lines: a row for each diagram, what it misses by name, and the total."""
    rows = [HEADINGS, *(_row(one) for one in report.diagrams)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield _line(HEADINGS, widths)
    for one in report.diagrams:
        yield _line(_row(one), widths)
        for kind, share in one.shares.items():
            if share.missing:
                yield f"  missing {kind}: {', '.join(share.missing)}"
    yield from report.notes
    yield f"total {report.shown_percent}"


def _row(one: DiagramCoverage) -> tuple[str, ...]:
    return (one.diagram.process_id, *(str(share) for share in one.shares.values()))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    aligned = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
    return "  ".join([first.ljust(widths[0]), *aligned])
