"""``pytest --saga-report=FILE``: all sagas of the run on one page, each on its diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from sagaworks.errors import SagaworksError
from sagaworks.history.account import Account
from sagaworks.history.records import kept
from sagaworks.project import Project, root_above
from sagaworks.report import Gathering, page
from sagaworks.report.of_history import show_project

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sagaworks.testing.coverage.sightings import Record

SENT: Final = "sagaworks_report"
"""What a worker of xdist sends its sagas as."""

TITLE: Final = "Sagas of a test run"


class ReportRun:
    """The sagas of one run, or of the part of it that a worker of xdist has."""

    def __init__(self, config: pytest.Config, file: Path) -> None:
        """Begin with none."""
        self.config = config
        self.file = file
        self.gathering = Gathering()
        self._diagrams: dict[int, bytes] = {}
        self._problems: list[str] = []

    def see(self, records: Iterable[Record], test: str) -> None:
        """Take in the records of one test.

        On an engine that tests share, a diagram may have been deployed for an earlier one.
        """
        account = Account(slim for record in records if (slim := kept(record)))
        self._diagrams |= account.diagrams
        account.diagrams = {**self._diagrams}
        self.gathering.see_all(account, test)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Send what a worker of xdist has; write the page."""
        if hasattr(self.config, "workerinput"):
            self.config.workeroutput[SENT] = self.gathering.as_data()  # type: ignore[attr-defined]
        elif not self.config.option.collectonly:
            self._write()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:  # noqa: ANN401  xdist ships no types
        """Take in what a worker of xdist has sent; one that died sends nothing."""
        sent = getattr(node, "workeroutput", {})
        if SENT in sent:
            self.gathering.merge(sent[SENT])
        else:
            self._problems.append(f"{node.gateway.id} ended without a word; its sagas are missing")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where the page is, and what is missing in it."""
        if self.config.option.collectonly:
            return
        terminalreporter.write_sep("=", "saga report")
        for problem in self._problems:
            terminalreporter.write_line(problem)
        count = f"{len(self.gathering)} saga{'s' * (len(self.gathering) != 1)}"
        terminalreporter.write_line(f"{count}: {self.file}")

    def _write(self) -> None:
        root = self.config.rootpath
        if root_above(root):
            try:
                files = Project.load(root).diagram_files()
                self._problems += show_project(self.gathering, files)
            except SagaworksError as error:
                self._problems.append(f"the project's own diagrams aren't shown: {error}")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(page(self.gathering, TITLE), encoding="utf-8")
