"""Each rule is broken by one diagram, and just not by the other."""

from pathlib import Path

import pytest

from sagaworks.check import RULES, check
from sagaworks.finding import Finding
from tests.check.shop import UNDRAWN, services_of
from tests.check.sketches import FOLDER, drawn

GENERATED = {"too-large", "stale-template", "outdated-template"}
"""Rules without diagrams here: nobody keeps 5 MB of nothing, and templates are tested elsewhere."""

WITH_CODE = {
    "missing-variable",
    "sometimes-missing-variable",
    "retriable-refuses",
    "uncaught-refusal",
}
"""Rules that see more where there's code, besides those that need it."""

WITH_DIAGRAMS = sorted({*RULES} - GENERATED)


def findings_in(rule: str, name: str) -> list[Finding]:
    """Check a rule's diagram, with code where the rule needs some; hints are left out."""
    path = FOLDER / rule / f"{name}.bpmn"
    more = [UNDRAWN] if rule == "undrawn-step" else []
    with_code = RULES[rule].needs_code or rule in WITH_CODE
    services = services_of(path.read_text(), *more) if with_code else None
    found = [one for one in check([path], services) if not one.ignored]
    return [one for one in found if one.severity != "info" or one.rule == rule]


@pytest.mark.parametrize("rule", WITH_DIAGRAMS)
def test_the_wrong_diagram_breaks_its_rule_and_no_other(rule: str) -> None:
    _, element = drawn(rule, wrong=True)
    found = findings_in(rule, "wrong")

    assert {(one.rule, one.severity) for one in found} == {(rule, RULES[rule].severity)}, found
    assert element in {one.element for one in found}
    assert all(one.line > 0 and one.what and "\n" not in str(one) for one in found)


@pytest.mark.parametrize("rule", WITH_DIAGRAMS)
def test_the_right_diagram_breaks_none(rule: str) -> None:
    assert findings_in(rule, "right") == []


@pytest.mark.parametrize("rule", WITH_DIAGRAMS)
@pytest.mark.parametrize("name", ["wrong", "right"])
def test_the_diagrams_are_the_ones_that_are_drawn(rule: str, name: str) -> None:
    """`python -m tests.check.sketches` writes them anew."""
    text, _ = drawn(rule, wrong=name == "wrong")

    assert (FOLDER / rule / f"{name}.bpmn").read_text() == text


def test_no_diagram_is_left_from_a_rule_that_is_gone() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*WITH_DIAGRAMS}


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_each_rule_says_why_and_what_to_do(rule: object) -> None:
    assert rule.title
    assert rule.why
    assert rule.remedy
    assert rule.source
    assert Path(rule.id).name == rule.id.lower()
