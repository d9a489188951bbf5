"""``pytest --saga-coverage`` and ``--saga-report``: what the run went through, told at its end.

`note_records` is what a fixture calls with the records of its engine. Without the option nothing is
kept, and next to nothing imported: this module is loaded by every pytest run on the machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import pytest

if TYPE_CHECKING:
    from sagaworks.testing.coverage.measure import Report
    from sagaworks.testing.coverage.reporting import ReportRun
    from sagaworks.testing.coverage.sightings import Record

NAME: Final = "sagaworks-coverage-run"
REPORT: Final = "sagaworks-report-run"
SENT: Final = "sagaworks_coverage"
"""What a worker of xdist sends its sightings as."""

TERMINAL: Final = "terminal"
HTML: Final = "html"
PAGE: Final = "saga-coverage.html"


def note_records(config: pytest.Config, records: Sequence[Record], test: str = "") -> None:
    """Take in the records of one test, if coverage or a report is asked for."""
    run = config.pluginmanager.get_plugin(NAME)
    if isinstance(run, CoverageRun):
        run.sightings.see(records)
    report: ReportRun | None = config.pluginmanager.get_plugin(REPORT)
    if report is not None:
        report.see(records, test)


def wants_records(config: pytest.Config) -> bool:
    """Whether anything is asked for, and so whether records need to be fetched at all."""
    return any(map(config.pluginmanager.has_plugin, (NAME, REPORT)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options ask for."""

    page: Path | None
    fail_under: float | None

    @classmethod
    def of(cls, config: pytest.Config) -> Self | None:
        """Read the options; None where coverage isn't asked for."""
        how = config.getoption("saga_coverage")
        fail_under = config.getoption("saga_coverage_fail_under")
        if how is None and fail_under is None:
            return None
        kind, _, file = (how or TERMINAL).partition(":")
        return cls(Path(file or PAGE).absolute() if kind == HTML else None, fail_under)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("sagaworks", "sagas, tested by sagaworks.testing")
    group.addoption(
        "--saga-coverage",
        nargs="?",
        const=TERMINAL,
        type=_how,
        metavar="html[:FILE]",
        help="Show which elements, flows and compensation paths of the diagrams the run went "
        f"through; with =html also as a page of pictures, {PAGE}.",
    )
    group.addoption(
        "--saga-coverage-fail-under",
        type=_percentage,
        metavar="MIN",
        help="Fail the run if less than MIN percent of the diagrams is covered.",
    )
    group.addoption(
        "--saga-report",
        type=Path,
        metavar="FILE",
        help="Write a page of all sagas of the run, each on its diagram, with its steps and times.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin to collect, if it is asked for."""
    wanted = Wanted.of(config)
    if wanted:
        config.pluginmanager.register(CoverageRun(config, wanted), NAME)
    if file := config.getoption("saga_report"):
        from sagaworks.testing.coverage.reporting import ReportRun  # noqa: PLC0415  asked for

        config.pluginmanager.register(ReportRun(config, file.absolute()), REPORT)


class CoverageRun:
    """The coverage of one run, or of the part of it that a worker of xdist has."""

    def __init__(self, config: pytest.Config, wanted: Wanted) -> None:
        """Begin with nothing seen."""
        from sagaworks.testing.coverage.sightings import Sightings  # noqa: PLC0415  asked for

        self.config = config
        self.wanted = wanted
        self.sightings = Sightings()
        self.report: Report | None = None
        self.lost: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Measure at the end of all tests; later the run can't fail any more."""
        result = yield
        if self._is_worker or self.config.option.collectonly:
            return result
        self.report = self._measure()
        if self._is_too_little:
            session.testsfailed += 1  # exit code 1, as pytest-cov has it
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Send what a worker of xdist has seen."""
        if self._is_worker:
            self.config.workeroutput[SENT] = self.sightings.as_data()  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:  # noqa: ANN401  xdist ships no types
        """Take in what a worker of xdist has seen."""
        from sagaworks.testing.coverage.sightings import Sightings  # noqa: PLC0415  asked for

        sent = getattr(node, "workeroutput", {})
        if SENT in sent:
            self.sightings.merge(Sightings.of_data(sent[SENT]))
        else:
            name = node.gateway.id
            self.lost.append(f"{name} ended without a word; what it went through isn't counted")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write table and page."""
        from sagaworks.testing.coverage.table import table  # noqa: PLC0415  asked for

        if self.report is None:
            return
        terminalreporter.write_sep("=", "saga coverage")
        for line in [*table(self.report), *self.lost]:
            terminalreporter.write_line(line)
        if self.wanted.page:
            self._write_page(self.report, self.wanted.page)
            terminalreporter.write_line(f"pictures: {self.wanted.page}")
        if self._is_too_little:
            reached, asked = self.report.shown_percent, f"{self.wanted.fail_under:g} %"
            message = f"FAIL saga coverage of {asked} is required, {reached} is reached"
            terminalreporter.write_line(message, red=True)

    @property
    def _is_worker(self) -> bool:
        return hasattr(self.config, "workerinput")

    @property
    def _is_too_little(self) -> bool:
        asked = self.wanted.fail_under
        return asked is not None and self.report is not None and self.report.percent < asked

    def _measure(self) -> Report:
        from sagaworks.errors import SagaworksError  # noqa: PLC0415  asked for
        from sagaworks.project import Project, root_above  # noqa: PLC0415  asked for
        from sagaworks.testing.coverage.measure import measure  # noqa: PLC0415  asked for

        root = self.config.rootpath
        try:
            files = Project.load(root).diagram_files() if root_above(root) else []
            return measure(self.sightings, files)
        except SagaworksError as error:
            raise pytest.UsageError(f"--saga-coverage: {error}") from None

    def _write_page(self, report: Report, path: Path) -> None:
        from sagaworks.testing.coverage.page import page  # noqa: PLC0415  asked for

        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(report), encoding="utf-8")


def _how(text: str) -> str:
    """Check the value of ``--saga-coverage``.

    Raises:
        argparse.ArgumentTypeError: a mistake, or a test that the option has swallowed.
    """
    if text != TERMINAL and text.partition(":")[0] != HTML:
        message = f"html or html:FILE, not {text!r}; without a value put it behind the tests"
        raise argparse.ArgumentTypeError(message)
    return text


def _percentage(text: str) -> float:
    """Check the value of ``--saga-coverage-fail-under``.

    Raises:
        argparse.ArgumentTypeError: it isn't one.
    """
    try:
        found = float(text)
    except ValueError:
        found = -1
    if not 0 <= found <= 100:  # noqa: PLR2004  percent
        raise argparse.ArgumentTypeError(f"a percentage from 0 to 100, not {text!r}")
    return found
