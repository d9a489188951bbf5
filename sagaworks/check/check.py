"""The check itself: all rules over all diagrams, and what their authors let stand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sagaworks.check import rules as _register  # noqa: F401  fills RULES
from sagaworks.check.case import Case, Known
from sagaworks.check.reading import graph_of
from sagaworks.check.rule import RULES
from sagaworks.contract import check_contract
from sagaworks.diagram import diagram_of, read_xml
from sagaworks.finding import Finding, NotADiagramError, refused, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sagaworks.service import Service

FIRST: Final = ("other-modeler", "dangling-reference")
"""Where one of these is found, nothing else that could be said would be about the saga."""

MOST_DRAWN: Final = 1_000
"""Drawn elements; the reference saga has about 50."""

GRAVITY: Final = {"error": 0, "warning": 1, "info": 2}


def check(
    paths: Iterable[Path],
    services: Sequence[Service] | None = None,
    *,
    asked: Iterable[Path] | None = None,
) -> list[Finding]:
    """Return what is wrong with diagrams, in their order, and then with the code.

    Args:
        paths: all diagrams that the services take part in.
        services: None checks the diagrams alone: a step is what `saga.kind` says, and
            compensatable where that is absent.
        asked: what is told of; all if None. Others are only read for what they tell of these.
    """
    paths = list(dict.fromkeys(paths))
    told = {*paths} if asked is None else {*asked}
    findings: list[Finding] = []
    known = Known(services)
    # Those that are asked about come first: a copy takes the place of the file it was made of.
    for path in sorted(paths, key=lambda path: path not in told):
        try:
            case = _case_of(path, known)
        except NotADiagramError as error:
            findings += error.findings
            continue
        first = known.cases.setdefault(case.diagram.process_id, case)
        if first is not case:
            findings.append(_second(case, first))
    diagrams = [case.diagram for case in known.cases.values()]
    known.contract = check_contract(services or (), diagrams)
    for case in known.cases.values():
        findings += _findings_in(case) if case.diagram.path in told else ()
    ours = [one for one in findings if one.path in told]
    return [*ours, *(one for one in known.contract if one.rule == "undrawn-step")]


def _case_of(path: Path, known: Known) -> Case:
    root = read_xml(path)
    diagram = diagram_of(root, path)
    if len(diagram.elements) > MOST_DRAWN:
        what = f"more than {MOST_DRAWN:,} drawn elements"
        raise refused("too-large", path, diagram.line, what, RULES["too-large"].remedy)
    return Case(diagram, graph_of(root, diagram), root, known)


def _second(case: Case, first: Case) -> Finding:
    id_, line = case.diagram.process_id, case.diagram.line
    what = f"a second process `{id_}`; the first is in {shown(first.diagram.path)}"
    return case.found_at("several-processes", line, id_, what, "give one of them another id")


def _findings_in(case: Case) -> list[Finding]:
    for id_ in FIRST:
        if found := list(RULES[id_].find(case)):
            return found[:10]
    left = [one for one in RULES.values() if one.id not in FIRST]
    rules = [one for one in left if case.has_code or not one.needs_code]
    findings = [found for one in rules for found in one.find(case)]
    findings = list(dict.fromkeys(_judged(case, found) for found in findings))
    findings += _unused(case, findings)
    return sorted(findings, key=lambda one: (one.line, GRAVITY[one.severity]))


def _judged(case: Case, finding: Finding) -> Finding:
    """Return the finding with the reason why the element's author lets it stand, if so."""
    node = case.graph.nodes.get(finding.element)
    for rules, reason in _ignoring(node.ignores if node is not None else ()):
        if finding.rule in rules and reason:
            return replace(finding, ignored=reason)
    return finding


def _unused(case: Case, findings: Sequence[Finding]) -> Iterator[Finding]:
    used = {(one.element, one.rule) for one in findings if one.ignored}
    for node in case.graph.nodes.values():
        for rules, _ in _ignoring(node.ignores):
            for id_ in rules:
                needless = id_ in RULES and (node.id, id_) not in used
                if needless and (case.has_code or not RULES[id_].needs_code):
                    what = f"switches `{id_}` off, which isn't broken here"
                    yield case.found("unused-ignore", node, what)


def _ignoring(values: Iterable[str]) -> Iterator[tuple[list[str], str]]:
    for value in values:
        rules, _, reason = value.partition(":")
        yield rules.replace(",", " ").split(), reason.strip()
