"""Files that can't be checked as a saga."""

from collections.abc import Iterator

from sagaworks.check.case import Case
from sagaworks.check.reading import dangling, misled
from sagaworks.check.rule import rule
from sagaworks.diagram import BPMN, ZEEBE
from sagaworks.finding import Finding

READING = "Found while the file is read; nothing else is said of it then."


@rule(
    "not-a-diagram",
    "error",
    "A file that is no executable BPMN diagram",
    remedy="save it in Camunda Modeler as a Camunda 8 diagram",
    source="BPMN 2.0.2, section 15",
)
def not_a_diagram(_: Case) -> Iterator[Finding]:
    """Not XML, XML of another kind, or no process that is marked as executable."""
    yield from ()  # told by the reading itself


@rule(
    "too-large",
    "error",
    "A file beyond 5 MB, 50,000 XML elements or 1,000 drawn elements",
    remedy="divide the saga by call activities",
    source="the engine's limit for one message is 4 MB",
)
def too_large(_: Case) -> Iterator[Finding]:
    """No saga that people can read is that large; size is looked at before the file is parsed."""
    yield from ()  # told by the reading itself


@rule(
    "dtd",
    "error",
    "A document type definition",
    remedy="a diagram needs none, remove it",
    source="measured: the engine refuses to deploy it",
)
def dtd(_: Case) -> Iterator[Finding]:
    """A DTD can make a parser read other files or fill its memory. No modeler writes one."""
    yield from ()  # told by the reading itself


@rule(
    "camunda-7",
    "error",
    "A diagram for Camunda 7",
    remedy="draw it anew as a Camunda 8 diagram, or have Camunda's migration tools convert it",
    source="Camunda 8 reads extensions of the namespace `zeebe` only",
)
def camunda_7(_: Case) -> Iterator[Finding]:
    """Its tasks name Java classes or topics, which Camunda 8 doesn't know."""
    yield from ()  # told by the reading itself


@rule(
    "several-processes",
    "error",
    "Several executable processes in one file, or two of one name",
    remedy="one file holds one saga",
    source="one name for file, process and saga",
)
def several_processes(_: Case) -> Iterator[Finding]:
    """Pools that exchange messages are drawn in a file each, or the others aren't executable.

    Of two files with one process id, the later deployed would be the newer version of the other.
    """
    yield from ()  # told by the reading itself


@rule(
    "double-id",
    "error",
    "An id that is used twice",
    remedy="give one of them another id",
    source="XML 1.0: ids are unique in a document",
)
def double_id(_: Case) -> Iterator[Finding]:
    """What is said of the one would be taken as said of the other."""
    yield from ()  # told by the reading itself


@rule(
    "dangling-reference",
    "error",
    "A reference to an id that isn't there",
    remedy="draw the connection anew in the Modeler",
    source="measured: the engine refuses to deploy it, or ignores what hangs on it",
)
def dangling_reference(case: Case) -> Iterator[Finding]:
    """A flow to nowhere, an event on a task that is gone, an error that isn't defined."""
    lost = dict.fromkeys(dangling(case.root))
    for line, element, attribute, target in lost:
        what = f"`{attribute}` names `{target}`, which isn't in the file"
        yield case.found_at("dangling-reference", line, element, what)
    for reference in misled(case.root, case.graph):
        line, element, attribute, target = reference
        what = f"`{attribute}` names `{target}`, which is of another sort"
        if not target:
            what = f"`{attribute}` is missing"
        if reference not in lost:
            yield case.found_at("dangling-reference", line, element, what)


@rule(
    "other-modeler",
    "error",
    "A diagram that was drawn for another engine",
    remedy="open it in Camunda Modeler as a Camunda 8 diagram, and give each task its job type",
    source="Camunda 8 reads extensions of the namespace `zeebe` only",
)
def other_modeler(case: Case) -> Iterator[Finding]:
    """Tools other than Camunda Modeler write their own extensions, or none: no task has a job."""
    if ZEEBE.strip("{}") in case.root.nsmap.values() or not case.tasks:
        return
    if any(str(one.tag).startswith(ZEEBE) for one in case.root.iter("*")):
        return
    made_by = case.root.get("exporter") or "another tool"
    what = f"drawn with {made_by}, without the extensions of Camunda 8"
    process = next(case.root.iter(f"{BPMN}process"))
    yield case.found_at("other-modeler", process.sourceline, case.graph.process, what)
