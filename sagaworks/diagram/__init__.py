"""A BPMN diagram as the library reads it: its tasks, what undoes them, what follows what."""

from sagaworks.diagram.elements import Element, Flow, Task
from sagaworks.diagram.file import BPMN, read_xml, shown
from sagaworks.diagram.process import ANY_CODE, EVERYTHING, Diagram
from sagaworks.diagram.reading import read_diagram

__all__ = [
    "ANY_CODE",
    "BPMN",
    "EVERYTHING",
    "Diagram",
    "Element",
    "Flow",
    "Task",
    "read_diagram",
    "read_xml",
    "shown",
]
