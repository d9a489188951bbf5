"""A BPMN diagram as the library reads it: its tasks, what undoes them, what follows what."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from lxml.etree import XMLParser, XMLSyntaxError, fromstring
from lxml.etree import _Element as Node

from sagaworks.errors import ContractError

BPMN: Final = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
ZEEBE: Final = "{http://camunda.org/schema/zeebe/1.0}"

DTD: Final = b"<!DOCTYPE"

DEFINITION: Final = "EventDefinition"

LARGEST: Final = 5_000_000
"""Bytes. The engine's own limit for a deployment is 4 MB; nobody draws more."""

ANY_CODE: Final = ""
"""Stands among the caught error codes for an event that catches them all."""

EVERYTHING: Final = ""
"""What a compensation throw event undoes that names no activity."""

DEFAULT_RETRIES: Final = 3
"""What the engine takes where a task names none."""

Mappings = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Element:
    """Anything with an id in a process that a token can stand on.

    Attributes:
        kind: the BPMN tag: ``serviceTask``, ``startEvent``, ``subProcess``.
        scope: the id of the process or sub-process it is drawn in.
        line: where it begins in the file, 1-based.
        attached_to: for a boundary event, the id of its task.
        event: for an event, what it is about: ``error``, ``timer``, ``compensate``; else empty.
        inputs, outputs: the I/O mapping as pairs of target and FEEL source.
    """

    id: str
    name: str
    kind: str
    scope: str
    line: int
    attached_to: str | None = None
    event: str = ""
    inputs: Mappings = ()
    outputs: Mappings = ()


@dataclass(frozen=True, slots=True)
class Task(Element):
    """An element that a worker carries out.

    Attributes:
        job_type: as written; begins with ``=`` where it is a FEEL expression.
        retries: as a number, or as written where it is no number.
        is_compensation: drawn as a handler, outside the flow.
        handler: the id of what undoes it.
        undoes: the id of what it undoes.
        saga_kind: the property ``saga.kind``.
        multi_instance: it or what it is drawn in runs once for each item of a list.
    """

    job_type: str = ""
    retries: int | str = DEFAULT_RETRIES
    is_compensation: bool = False
    handler: str | None = None
    undoes: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    saga_kind: str | None = None
    multi_instance: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """A sequence flow."""

    id: str
    source: str
    target: str


@dataclass(frozen=True)
class Diagram:
    """One file with one executable process.

    Attributes:
        elements: everything a token can stand on, the tasks among them, in the file's order.
        throws: compensation throw events with the id of the activity each asks to undo;
            `EVERYTHING` is all of them, at once.
        event_sub_processes: the ids of the sub-processes that an event starts.
        error_codes_caught: by boundary events and event sub-processes; `ANY_CODE` is all of them.
    """

    path: Path
    process_id: str
    line: int
    elements: Mapping[str, Element]
    flows: tuple[Flow, ...]
    throws: Mapping[str, str]
    event_sub_processes: frozenset[str]
    error_codes_caught: frozenset[str]

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The tasks that workers carry out, by element id."""
        return {key: one for key, one in self.elements.items() if isinstance(one, Task)}

    @cached_property
    def loops(self) -> frozenset[str]:
        """The ids of the tasks that a token can come back to."""
        circling = _circling(self._ways)
        return frozenset(
            task for task in self.tasks if any(id_ in circling for id_ in self._within(task))
        )

    def first_steps(self) -> list[Task]:
        """Return the tasks that a token meets first, in the file's order."""
        starts = [one.id for one in self._starts_in(self.process_id)]
        found, seen = set(), set(starts)
        while starts:
            here = starts.pop()
            if here in self.tasks:
                found.add(here)
                continue
            onward = [id_ for id_ in self._onward(here) if id_ not in seen]
            seen.update(onward)
            starts.extend(onward)
        return [task for id_, task in self.tasks.items() if id_ in found]

    def where(self, line: int) -> str:
        """Return ``bpmn/place_order.bpmn:42``."""
        return f"{shown(self.path)}:{line}"

    @cached_property
    def _ways(self) -> dict[str, list[str]]:
        """Where a token can go within a scope; it may leave a task by its boundary, too."""
        ways: dict[str, list[str]] = {id_: [] for id_ in self.elements}
        for flow in self.flows:
            ways.setdefault(flow.source, []).append(flow.target)
        for one in self.elements.values():
            if one.attached_to:
                ways.setdefault(one.attached_to, []).append(one.id)
        return ways

    def _onward(self, id_: str) -> list[str]:
        element = self.elements.get(id_)
        inner = [one.id for one in self._starts_in(id_)]
        leaves = element is not None and element.kind == "endEvent" and element.scope
        return [
            *inner,
            *([] if inner else self._ways.get(id_, [])),
            *self._ways.get(leaves or "", []),
        ]

    def _starts_in(self, scope: str) -> Iterator[Element]:
        if scope not in self.event_sub_processes:
            yield from (
                one
                for one in self.elements.values()
                if one.scope == scope and one.kind == "startEvent"
            )

    def _within(self, id_: str) -> Iterator[str]:
        """Yield the element's id and those of the sub-processes around it."""
        while id_ in self.elements:
            yield id_
            id_ = self.elements[id_].scope


def read_diagram(path: Path) -> Diagram:
    """Read a `.bpmn` file.

    Raises:
        ContractError: it can't be one; each problem one line with file and line number.
    """
    root = read_xml(path)
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


def read_xml(path: Path) -> Node:
    """Return the root of a BPMN file; reads no other file and no network, whatever it says.

    Raises:
        ContractError: naming file, line and what is wrong.
    """
    content = _read(path)
    parser = XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = fromstring(content, parser)
    except XMLSyntaxError as error:
        if DTD in content:
            raise _has_dtd(content, path) from None
        message = error.msg.partition(", ")[0]
        raise ContractError(f"{shown(path)}:{error.lineno or 1}: not XML: {message}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise _has_dtd(content, path)
    if root.tag != f"{BPMN}definitions":
        raise ContractError(f"{shown(path)}:{root.sourceline}: not a BPMN 2.0 diagram")
    return root


def shown(path: Path) -> str:
    """Return the path as a person at this folder would type it."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ContractError(f"{shown(path)}: can't be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise ContractError(f"{shown(path)}: larger than {LARGEST // 1_000_000} MB")
    return content


def _has_dtd(content: bytes, path: Path) -> ContractError:
    line = content.partition(DTD)[0].count(b"\n") + 1
    return ContractError(f"{shown(path)}:{line}: has a DTD; a diagram needs none, remove it")


def _the_process(root: Node, path: Path) -> Node:
    found = [one for one in root.iter(f"{BPMN}process") if one.get("isExecutable") == "true"]
    if not found:
        message = "no executable process; in the Modeler, tick `Executable`"
        raise ContractError(f"{shown(path)}:{root.sourceline}: {message}")
    if len(found) > 1:
        message = f"a second process, `{found[1].get('id')}`; one file holds one saga"
        raise ContractError(f"{shown(path)}:{found[1].sourceline}: {message}")
    return found[0]


def _refuse_double_ids(root: Node, path: Path) -> None:
    lines: dict[str, int] = {}
    problems = []
    for node in root.iter("*"):
        id_ = node.get("id")
        if id_ in lines:
            where = f"{shown(path)}:{node.sourceline}"
            problems.append(f"{where}: id `{id_}` is used twice, first in line {lines[id_]}")
        elif id_ is not None:
            lines[id_] = node.sourceline
    if problems:
        raise ContractError("\n".join(problems))


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
    steps = "/".join(f"{ZEEBE}{step}" for step in path.split("/"))
    return list(node.iterfind(f"{BPMN}extensionElements/{steps}"))


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


def _circling(ways: Mapping[str, list[str]]) -> set[str]:
    """Return the nodes that a way leads back to."""
    return {node for node in _endless(ways) if _comes_back(node, ways)}


def _comes_back(node: str, ways: Mapping[str, list[str]]) -> bool:
    ahead, seen = [*ways[node]], set(ways[node])
    while ahead:
        onward = [id_ for id_ in ways.get(ahead.pop(), []) if id_ not in seen]
        seen.update(onward)
        ahead.extend(onward)
    return node in seen


def _endless(ways: Mapping[str, list[str]]) -> set[str]:
    """Return the nodes from which a way goes on for ever: what stays when ends are peeled off."""
    into: dict[str, list[str]] = {}
    for node, targets in ways.items():
        for target in targets:
            into.setdefault(target, []).append(node)
    left = dict.fromkeys(into, 0) | {node: len(targets) for node, targets in ways.items()}
    ends = [node for node, count in left.items() if count == 0]
    while ends:
        for source in into.get(ends.pop(), []):
            left[source] -= 1
            if left[source] == 0:
                ends.append(source)
    return {node for node, count in left.items() if count > 0}
