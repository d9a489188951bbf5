"""From a `.bpmn` file to a diagram."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from lxml.etree import _Element as Node

from sagaworks.diagram.elements import DEFAULT_RETRIES, Element, Flow, Mappings, Task
from sagaworks.diagram.file import BPMN, ZEEBE, read_xml
from sagaworks.diagram.process import ANY_CODE, EVERYTHING, Diagram
from sagaworks.finding import Finding, NotADiagramError, refused

MOST_TOLD: Final = 10
"""Lines about double ids; a copied file has as many of them as elements."""

DEFINITION: Final = "EventDefinition"


def read_diagram(path: Path, content: bytes | None = None) -> Diagram:
    """Read a `.bpmn` file.

    Args:
        path: the file; with `content`, only its name.
        content: the file's, where it comes from elsewhere: from an engine's records.

    Raises:
        ContractError: it can't be one; each problem one line with file and line number.
    """
    return diagram_of(read_xml(path, content), path)


def diagram_of(root: Node, path: Path) -> Diagram:
    """Return the diagram in a file that was read.

    Raises:
        ContractError: as `read_diagram`.
    """
    process = _the_process(root, path)
    _refuse_double_ids(root, path)
    handlers = _handlers(process)
    codes = {one.get("id"): one.get("errorCode", ANY_CODE) for one in root.iter(f"{BPMN}error")}
    found = [_element(node, handlers) for node in process.iter() if _holds_a_token(node)]
    return Diagram(
        path=path,
        process_id=process.get("id", ""),
        line=process.sourceline,
        elements={one.id: one for one in found},
        flows=tuple(_flows(process)),
        throws=dict(_throws(process)),
        event_sub_processes=frozenset(_event_sub_processes(process)),
        error_codes_caught=frozenset(_caught(process, codes)),
    )


def _the_process(root: Node, path: Path) -> Node:
    found = [one for one in root.iter(f"{BPMN}process") if one.get("isExecutable") == "true"]
    if not found:
        remedy = "in the Modeler, tick `Executable`"
        raise refused("not-a-diagram", path, root.sourceline, "no executable process", remedy)
    if len(found) > 1:
        what = f"a second process, `{found[1].get('id')}`"
        remedy = "one file holds one saga"
        raise refused("several-processes", path, found[1].sourceline, what, remedy)
    return found[0]


def _refuse_double_ids(root: Node, path: Path) -> None:
    lines: dict[str, int] = {}
    problems = []
    for node in root.iter("*"):
        id_ = node.get("id")
        if id_ in lines:
            what = f"id `{id_}` is used twice, first in line {lines[id_]}"
            problems.append(Finding("error", "double-id", path, node.sourceline, "", what))
        elif id_ is not None:
            lines[id_] = node.sourceline
    if problems:
        raise NotADiagramError(*problems[:MOST_TOLD])


def _holds_a_token(node: Node) -> bool:
    kinds = ("Task", "Event", "Gateway", "Process", "task", "callActivity", "transaction")
    tag = str(node.tag)
    return tag.startswith(BPMN) and tag.endswith(kinds) and node.get("id") is not None


def _element(node: Node, handlers: Mapping[str, str]) -> Element:
    id_, kind = str(node.get("id")), _kind(node)
    common = {
        "id": id_,
        "name": " ".join(node.get("name", "").split()),
        "kind": kind,
        "scope": node.getparent().get("id", ""),
        "line": node.sourceline,
        "attached_to": node.get("attachedToRef"),
        "event": _event(node),
        "inputs": _mappings(node, "input"),
        "outputs": _mappings(node, "output"),
    }
    job = next(iter(_extensions(node, "taskDefinition")), None)
    if job is None and kind != "serviceTask":
        return Element(**common)
    undoes = {handler: task for task, handler in handlers.items()}
    return Task(
        **common,
        job_type="" if job is None else job.get("type", ""),
        retries=_retries(job),
        is_compensation=node.get("isForCompensation") == "true",
        handler=handlers.get(id_),
        undoes=undoes.get(id_),
        headers=_named(node, "taskHeaders/header", "key"),
        saga_kind=_named(node, "properties/property", "name").get("saga.kind"),
        multi_instance=_repeats(node),
    )


def _kind(node: Node) -> str:
    return str(node.tag).removeprefix(BPMN)


def _event(node: Node) -> str:
    kinds = [_kind(child) for child in node]
    about = [kind.removesuffix(DEFINITION) for kind in kinds if kind.endswith(DEFINITION)]
    return about[0] if about else ""


def _extensions(node: Node, path: str) -> list[Node]:
    # Not by a path expression: lxml follows those in Python, and this is most of the reading.
    found = list(node.iterchildren(f"{BPMN}extensionElements"))
    for step in path.split("/"):
        found = [child for one in found for child in one.iterchildren(f"{ZEEBE}{step}")]
    return found


def _mappings(node: Node, direction: str) -> Mappings:
    found = _extensions(node, f"ioMapping/{direction}")
    return tuple((one.get("target", ""), one.get("source", "")) for one in found)


def _named(node: Node, path: str, key: str) -> dict[str, str]:
    return {one.get(key, ""): one.get("value", "") for one in _extensions(node, path)}


def _retries(job: Node | None) -> int | str:
    written = str(DEFAULT_RETRIES) if job is None else job.get("retries", str(DEFAULT_RETRIES))
    try:
        return int(written)
    except ValueError:
        return written


def _repeats(node: Node) -> bool:
    around = [node, *node.iterancestors()]
    return any(one.find(f"{BPMN}multiInstanceLoopCharacteristics") is not None for one in around)


def _handlers(process: Node) -> dict[str, str]:
    """Return what undoes what; of several handlers the engine runs the first only (measured)."""
    hosts = {
        boundary.get("id"): boundary.get("attachedToRef")
        for boundary in process.iter(f"{BPMN}boundaryEvent")
        if boundary.find(f"{BPMN}compensateEventDefinition") is not None
    }
    handlers: dict[str, str] = {}
    for one in process.iter(f"{BPMN}association"):
        if one.get("sourceRef") in hosts:
            handlers.setdefault(hosts[one.get("sourceRef")], one.get("targetRef"))
    return handlers


def _flows(process: Node) -> Iterator[Flow]:
    for one in process.iter(f"{BPMN}sequenceFlow"):
        yield Flow(one.get("id", ""), one.get("sourceRef", ""), one.get("targetRef", ""))


def _throws(process: Node) -> Iterator[tuple[str, str]]:
    for one in process.iter(f"{BPMN}compensateEventDefinition"):
        event = one.getparent()
        if _kind(event) in ("intermediateThrowEvent", "endEvent"):
            yield event.get("id"), one.get("activityRef", EVERYTHING)


def _event_sub_processes(process: Node) -> Iterator[str]:
    for one in process.iter(f"{BPMN}subProcess"):
        if one.get("triggeredByEvent") == "true":
            yield one.get("id")


def _caught(process: Node, codes: Mapping[str | None, str]) -> Iterator[str]:
    for one in process.iter(f"{BPMN}errorEventDefinition"):
        if _kind(one.getparent()) in ("boundaryEvent", "startEvent"):
            yield codes.get(one.get("errorRef"), ANY_CODE)
