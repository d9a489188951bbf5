"""What a new version means for sagas under way is said before it's deployed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sagaworks.cli import app
from sagaworks.diff import Comparison, Weight, compare

ROOT = Path(__file__).parents[2]

CHARGE = """<serviceTask id="charge"><extensionElements>
      <zeebe:taskDefinition type="shop.charge" />
      </extensionElements></serviceTask>"""

NEWER = (8, 8)
FOR_NEWER = ("--engine", "8.8")

Compared = Callable[..., Comparison]
Versions = Callable[..., Path]


def told(comparison: Comparison) -> list[str]:
    return [f"{one.weight} {one.element}: {one.what}" for one in comparison.changes]


def stuck(comparison: Comparison) -> list[str]:
    return [place.element for place in comparison.places if place.why_not]


def test_the_same_saga_has_nothing_to_tell(compared: Compared) -> None:
    comparison = compared()

    assert told(comparison) == []
    assert [place.element for place in comparison.places] == ["hold", "charge"]
    assert comparison.migratable


def test_a_new_step_is_told_and_keeps_nobody(compared: Compared) -> None:
    comparison = compared(steps=("hold", "charge", "ship"))

    assert told(comparison) == ["note ship: a new step, `shop.ship`"]
    assert comparison.migratable


def test_a_step_that_is_gone_keeps_who_waits_there(compared: Compared) -> None:
    comparison = compared(steps=("hold", "ship"))

    assert "note charge: is gone" in told(comparison)
    assert stuck(comparison) == ["charge"]


def test_an_undone_step_that_is_gone_keeps_all_who_have_done_it(compared: Compared) -> None:
    comparison = compared(steps=("charge",), undo="")

    assert told(comparison)[0] == "stop hold: is gone"
    assert stuck(comparison) == ["hold", "charge"]


def test_a_renamed_step_is_known_by_its_job_type(compared: Compared) -> None:
    comparison = compared(('"hold"', '"keep"'))

    assert told(comparison)[0] == "stop hold: is `keep` now"


def test_without_an_undo_those_who_have_done_the_step_stay(compared: Compared) -> None:
    comparison = compared(undo="")

    assert told(comparison) == ["stop hold: nothing undoes it any more"]
    assert stuck(comparison) == ["charge"], "who is at the step yet hasn't done it"


def test_another_compensation_must_understand_old_facts(compared: Compared) -> None:
    (change,) = compared(('"shop.release"', '"shop.give_back"')).changes

    assert change.weight is Weight.CARE
    assert change.what == "undone by `shop.give_back`, no more by `shop.release`"
    assert "facts of the old version" in change.advice


def test_an_undo_that_is_new_is_not_for_those_who_are_past(version: Versions) -> None:
    comparison = compare(version("old", undo=""), version("new"), NEWER)

    assert told(comparison) == ["care hold: can be undone now, by `shop.release`"]
    assert comparison.migratable


def test_where_nothing_throws_any_more_all_stay(compared: Compared) -> None:
    comparison = compared(scope="")

    assert "stop undo_all: what began it, error, undoes nothing any more" in told(comparison)
    assert stuck(comparison) == ["hold", "charge"]


def test_an_event_sub_process_may_be_renamed(compared: Compared) -> None:
    assert compared(scope="undo_the_order").migratable


def test_a_job_that_is_out_keeps_its_type(compared: Compared) -> None:
    (change,) = compared(('"shop.charge"', '"shop.bill"')).changes

    assert (change.weight, change.element) == (Weight.CARE, "charge")
    assert "keep the worker of `shop.charge`" in change.advice


def test_a_code_that_nothing_catches_any_more_is_told(version: Versions) -> None:
    comparison = compare(version("old", code="NO_STOCK"), version("new", code="NO_MONEY"))

    assert "care buy: nothing catches NO_STOCK" in told(comparison)
    assert "note buy: NO_MONEY is caught now" in told(comparison)


@pytest.mark.parametrize(
    "new, why",
    [
        ('<userTask id="charge" />', "was a serviceTask, is a userTask"),
        (
            '<subProcess id="payment"><serviceTask id="charge" /></subProcess>',
            "was moved to `payment`",
        ),
        (
            '<serviceTask id="charge"><multiInstanceLoopCharacteristics /></serviceTask>',
            "runs for each item in one version only",
        ),
    ],
)
def test_the_engine_moves_a_token_to_the_like_only(version: Versions, new: str, why: str) -> None:
    comparison = compare(version("old"), version("new", (CHARGE, new)), NEWER)

    assert stuck(comparison) == ["charge"]
    assert why in next(one.why_not[0] for one in comparison.places if one.why_not)


def test_a_plan_maps_each_compensation_event(compared: Compared) -> None:
    """Also one with another name: from 8.8 on, the undo of who has done the step hangs on it."""
    mapping = compared(event="undo_hold").mapping

    assert mapping == {
        "hold": "hold",
        "charge": "charge",
        "hold_undone_by": "undo_hold",
        "refused": "refused",
    }


def test_an_older_engine_moves_nobody_from_a_step_that_can_be_undone(version: Versions) -> None:
    comparison = compare(version("old"), version("new"), (8, 6))

    assert stuck(comparison) == ["hold"]
    assert "the engine 8.6 migrates no saga from a step" in comparison.places[0].why_not[0]


@pytest.mark.parametrize("diagram", sorted((ROOT / "bpmn").glob("*.bpmn")), ids=lambda p: p.stem)
def test_a_reference_saga_can_be_migrated_to_itself(diagram: Path) -> None:
    comparison = compare(diagram, diagram, NEWER)

    assert comparison.changes == ()
    assert comparison.migratable
    assert len(comparison.places) > 5


def test_the_command_says_it_and_writes_the_plan(version: Versions) -> None:
    old, new = version("old"), version("new", undo="")
    plan = old.with_name("plan.json")

    answer = CliRunner().invoke(app, ["diff", str(old), str(new), "--plan", str(plan), *FOR_NEWER])

    assert answer.exit_code == 3
    assert "can't be migrated from `charge`: hold: nothing undoes it any more" in answer.output
    assert "can be migrated from 1 of 2 places" in answer.output
    assert {"sourceElementId": "hold", "targetElementId": "hold"} in json.loads(plan.read_text())[
        "mappingInstructions"
    ]


def test_programs_get_json(version: Versions) -> None:
    answer = CliRunner().invoke(
        app, ["diff", str(version("old")), str(version("new")), "--json", *FOR_NEWER]
    )

    assert answer.exit_code == 0
    assert json.loads(answer.output)["migratable"] is True


def test_what_is_no_diagram_is_refused_in_a_line(tmp_path: Path) -> None:
    from sagaworks.finding import NotADiagramError

    text = tmp_path / "text.bpmn"
    text.write_text("no XML")

    with pytest.raises(NotADiagramError, match=r"text\.bpmn"):
        compare(text, text)


def test_a_version_that_is_none_is_refused(version: Versions) -> None:
    args = ["diff", str(version("old")), str(version("new")), "--engine", "newest"]
    answer = CliRunner().invoke(app, args)

    assert answer.exit_code == 2
    assert "no version such as 8.8" in answer.output
