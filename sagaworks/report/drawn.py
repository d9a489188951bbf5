"""A diagram of a report, and the numbers by which its sagas speak of what is in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lxml.etree import tostring

from sagaworks.diagram import compensation_paths, read_diagram, read_xml
from sagaworks.errors import ContractError

if TYPE_CHECKING:
    from sagaworks.diagram import Diagram
    from sagaworks.picture.way import Run


@dataclass
class Drawn:
    """A diagram of a report.

    Attributes:
        text: the file's; empty where only its sagas are known.
        diagram: None where the text can't be read as one: then nothing is known of coverage.
        ids: of elements and flows, each known by its number in here.
    """

    process: str
    version: int
    text: str
    diagram: Diagram | None = None
    ids: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, process: str, version: int, text: str) -> Self:
        """Read it."""
        drawn = cls(process, version, text)
        if text:
            try:
                drawn.diagram = read_diagram(Path(f"{process}.bpmn"), text.encode())
            except ContractError:
                return drawn
            for id_ in (*drawn.diagram.elements, *(flow.id for flow in drawn.diagram.flows)):
                drawn.number(id_)
        return drawn

    def number(self, id_: str) -> int:
        """Return the number of an id."""
        return self.ids.setdefault(id_, len(self.ids))

    def place(self, run: Run) -> tuple[int, int]:
        """Return where a run stands among others: by its element, then by when it began."""
        return self.number(run.element), run.began

    def packed(self) -> dict[str, Any]:
        """Return what the page needs to know, JSON-ready."""
        known = {"process": self.process, "version": self.version, "xml": self.text}
        return known | {"ids": [*self.ids]} | (self._inside(self.diagram) if self.diagram else {})

    def _inside(self, diagram: Diagram) -> dict[str, Any]:
        undos = compensation_paths(diagram)
        handlers = (id_ for id_, task in diagram.tasks.items() if task.is_compensation)
        return {
            "names": {self.ids[id_]: one.name for id_, one in diagram.elements.items() if one.name},
            "elements": [self.ids[id_] for id_ in diagram.elements],
            "flows": [self.ids[flow.id] for flow in diagram.flows],
            "handlers": [self.ids[id_] for id_ in handlers],
            "undos": [[self.ids[throw], self.ids[activity]] for throw, activity in undos],
        }


def text_of(content: bytes) -> str:
    """Return a diagram's text, whatever its encoding; empty if it's no XML."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return str(tostring(read_xml(Path("diagram.bpmn"), content), encoding="unicode"))
    except ContractError:
        return ""
