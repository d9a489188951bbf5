"""The checker on whole sagas: the right ones pass, the defect in each of the others is found."""

from pathlib import Path

import pytest

from sagaworks.check import check
from sagaworks.finding import Finding
from sagaworks.project import Project

ROOT = Path(__file__).parents[2]
EXAMPLES = Path(__file__).parent / "examples"


def grave(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.rule, one.element) for one in findings if one.severity != "info"]


def test_the_reference_sagas_break_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    project = Project.load()

    assert grave(check(project.diagram_files(), project.load_services())) == []


@pytest.mark.parametrize("diagram", sorted((ROOT / "bpmn").glob("*.bpmn")), ids=lambda p: p.name)
def test_nor_do_they_without_their_code(diagram: Path) -> None:
    assert grave(check([diagram])) == []


def test_a_right_saga_of_other_people_breaks_no_rule() -> None:
    """Steps with mappings, one undo for all refusals, a message with a deadline."""
    assert grave(check([EXAMPLES / "order-fulfilment-saga.bpmn"])) == []


@pytest.mark.parametrize(
    "name, expected",
    [
        (
            "07-throw-after-subprocess-terminated",
            [("leave-undeclared", "Sub"), ("no-undo", "B"), ("throw-reaches-nothing", "T")],
        ),
        (
            "15-parallel-branch-throw",
            [("fork-before-first-step", "F"), ("no-undo", "B"), ("left-branch", "T")],
        ),
        ("16-loop-overwrites-compensation-data", [("overwritten-undo", "A")]),
        (
            "17-multi-instance-partial",
            [
                ("fork-before-first-step", "A"),
                ("leave-undeclared", "A"),
                ("throw-reaches-nothing", "T"),
            ],
        ),
    ],
)
def test_the_defect_is_found(name: str, expected: list[tuple[str, str]]) -> None:
    assert grave(check([EXAMPLES / f"{name}.bpmn"])) == expected
