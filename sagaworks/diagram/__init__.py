"""A BPMN diagram as the library reads it: its tasks, what undoes them, what follows what."""

from sagaworks.diagram.elements import Element, Flow, Task
from sagaworks.diagram.file import BPMN, ZEEBE, read_xml
from sagaworks.diagram.process import ANY_CODE, EVERYTHING, Diagram
from sagaworks.diagram.reading import diagram_of, read_diagram
from sagaworks.diagram.undoing import Undo, compensation_paths
from sagaworks.finding import shown

__all__ = [
    "ANY_CODE",
    "BPMN",
    "EVERYTHING",
    "ZEEBE",
    "Diagram",
    "Element",
    "Flow",
    "Task",
    "Undo",
    "compensation_paths",
    "diagram_of",
    "read_diagram",
    "read_xml",
    "shown",
]
