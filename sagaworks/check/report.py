"""Findings as people and programs read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sagaworks import __version__
from sagaworks.check.rule import RULES
from sagaworks.finding import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sagaworks.finding import Finding

    Style = Callable[[str, str], str]

COLOURS: Final = {"error": "red", "warning": "yellow", "info": "cyan"}
PAGE: Final = "docs/reference/rules.md"
LEVELS: Final = {"error": "error", "warning": "warning", "info": "note"}
COMMANDS: Final = {"error": "error", "warning": "warning", "info": "notice"}


def as_lines(findings: Sequence[Finding], style: Style) -> Iterator[str]:
    """Yield a line a finding, for people.

    Args:
        findings: in the order in which they're told.
        style: gives a text a colour, by its name.
    """
    for one in findings:
        grave = style(one.severity, COLOURS[one.severity])
        if one.ignored:
            yield f"{one.where} ignored {one.rule}: {one.what}; let stand: {one.ignored}"
        else:
            yield f"{one.where} {grave} {one.rule}: {one.told}"


def summary(findings: Sequence[Finding], files: int) -> str:
    """Return how much was looked at, and how much was found."""
    counts = [_counted(findings, severity) for severity in COLOURS]
    found = ", ".join(one for one in counts if one) or "nothing found"
    ignored = sum(1 for one in findings if one.ignored)
    more = f", {ignored} ignored" if ignored else ""
    return f"{files} {'diagram' if files == 1 else 'diagrams'}: {found}{more}"


def as_json(findings: Sequence[Finding]) -> str:
    """Return a JSON list with an object a finding."""
    return json.dumps([_plain(one) for one in findings], indent=2)


def as_sarif(findings: Sequence[Finding]) -> str:
    """Return a SARIF 2.1.0 log, which code hosts and editors show beside the file."""
    driver = {
        "name": "sagaworks check",
        "version": __version__,
        "rules": [_sarif_rule(id_) for id_ in RULES],
    }
    run = {"tool": {"driver": driver}, "results": [_sarif_result(one) for one in findings]}
    return json.dumps({"version": "2.1.0", "runs": [run]}, indent=2)


def as_github(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield a workflow command a finding, which GitHub shows at the changed line."""
    for one in findings:
        if not one.ignored:
            place = f"file={_property(shown(one.path))},line={one.line or 1}"
            title = _property(f"{one.rule} {one.element}".rstrip())
            yield f"::{COMMANDS[one.severity]} {place},title={title}::{_data(one.told)}"


def _counted(findings: Sequence[Finding], severity: str) -> str:
    count = sum(1 for one in findings if one.severity == severity and not one.ignored)
    plural = "" if count == 1 or severity == "info" else "s"
    return f"{count} {severity}{plural}" if count else ""


def _plain(one: Finding) -> dict[str, Any]:
    return {
        "file": shown(one.path),
        "line": one.line,
        "element": one.element,
        "rule": one.rule,
        "severity": one.severity,
        "what": one.what,
        "remedy": one.remedy,
        "ignored": one.ignored or None,
    }


def _sarif_rule(id_: str) -> dict[str, Any]:
    rule = RULES[id_]
    return {
        "id": id_,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"{rule.remedy}\n\nSource: {rule.source}\n\n{PAGE}#{id_}"},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
    }


def _sarif_result(one: Finding) -> dict[str, Any]:
    place = {
        "physicalLocation": {
            "artifactLocation": {"uri": shown(one.path)},
            "region": {"startLine": max(one.line, 1)},
        },
        "logicalLocations": [{"name": one.element}],
    }
    result: dict[str, Any] = {
        "ruleId": one.rule,
        "level": LEVELS[one.severity],
        "message": {"text": one.told},
        "locations": [place],
    }
    if one.ignored:
        result["suppressions"] = [{"kind": "inSource", "justification": one.ignored}]
    return result


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
