"""What is wrong with a diagram, or between diagram and code, on one line with its place."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sagaworks.errors import ContractError

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        rule: its id, by which the reference explains it.
        line: 1-based; 0 where the file as a whole is meant.
        element: the id in the diagram, or the function's name.
        services: the names of the services that it concerns; none stands for all.
        ignored: why the diagram's author lets it stand; empty where nobody does.
    """

    severity: Severity
    rule: str
    path: Path
    line: int
    element: str
    what: str
    remedy: str = ""
    services: frozenset[str] = frozenset()
    ignored: str = ""

    @property
    def where(self) -> str:
        """``bpmn/place_order.bpmn:42 hold_stok`` or ``workers/inventory.py:19 hold_stock``."""
        line = f":{self.line}" if self.line else ""
        return f"{shown(self.path)}{line} {self.element}".rstrip()

    @property
    def told(self) -> str:
        """What is wrong, and what to do about it."""
        return f"{self.what}; {self.remedy}" if self.remedy else self.what

    def __str__(self) -> str:
        return f"{self.where}: {self.told}"


class NotADiagramError(ContractError):
    """A file that can't be read as a saga; each finding is a line."""

    def __init__(self, *findings: Finding) -> None:
        """Say what was found."""
        super().__init__("\n".join(str(one) for one in findings))
        self.findings = findings


def refused(rule: str, path: Path, line: int, what: str, remedy: str = "") -> NotADiagramError:
    """Return the error that says why a file is no diagram of a saga."""
    return NotADiagramError(Finding("error", rule, path, line, "", what, remedy))


def shown(path: Path) -> str:
    """Return the path as a person at this folder would type it."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path)
