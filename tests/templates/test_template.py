"""What a process person picks in the Modeler is what the step's signature says."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from sagaworks import Service
from sagaworks.project import Project
from sagaworks.templates import template_of, write

ROOT = Path(__file__).parents[2]

Template = Mapping[str, Any]


@pytest.fixture
def hold_seat(flights: Service) -> Template:
    return template_of(flights.steps["hold_seat"])


@pytest.fixture
def free_seat(flights: Service) -> Template:
    return template_of(flights.compensations["free_seat"])


def field(template: Template, id_: str) -> Mapping[str, Any]:
    return next(one for one in template["properties"] if one.get("id") == id_)


def written_by(template: Template, kind: str) -> list[tuple[Any, ...]]:
    found = [one for one in template["properties"] if one["binding"]["type"] == kind]
    return [(*list(one["binding"].values())[1:], one.get("value")) for one in found]


def test_it_is_called_as_the_step_is(hold_seat: Template) -> None:
    assert (hold_seat["name"], hold_seat["id"]) == ("Hold seat", "sagaworks.flights.hold_seat")


def test_it_writes_job_type_and_kind_without_asking(hold_seat: Template) -> None:
    assert ("type", "flights.hold_seat") in written_by(hold_seat, "zeebe:taskDefinition")
    assert written_by(hold_seat, "zeebe:property") == [("saga.kind", "compensatable")]


def test_it_says_what_the_step_does_refuses_and_gives(hold_seat: Template) -> None:
    assert hold_seat["description"] == (
        "Keep a seat for one passenger. Refuses NO_SEAT. Gives seat_held."
        " Repeated, `passenger` tells its runs apart."
    )


def test_every_variable_is_a_field_and_nothing_else_is(hold_seat: Template) -> None:
    names = [name for name, _ in written_by(hold_seat, "zeebe:input")]

    assert names == ["passenger", "flight", "cabin", "rows", "window", "meal", "wishes"]


def test_a_field_helps_with_the_docstring_and_the_type(hold_seat: Template) -> None:
    helps = {name: field(hold_seat, f"input_{name}")["description"] for name in ("flight", "rows")}

    assert helps == {
        "flight": "its number, with the airline's letters. Type: text.",
        "rows": "How far from the front. Type: a whole number.",
    }
    said = field(hold_seat, "input_passenger")["description"]
    assert said == "who flies. Type: an object with name, age."


def test_a_required_variable_is_taken_by_its_name(hold_seat: Template) -> None:
    rows = field(hold_seat, "input_rows")

    assert (rows["value"], rows["constraints"]) == ("=rows", {"notEmpty": True})
    assert rows["feel"] == "required"


def test_what_has_a_default_may_stay_empty(hold_seat: Template) -> None:
    """A mapping of a variable that nobody has would hand the function null instead."""
    wishes = field(hold_seat, "input_wishes")

    assert wishes["optional"]
    assert "value" not in wishes


@pytest.mark.parametrize(
    "name, values",
    [
        ("cabin", ["=cabin", "economy", "first"]),
        ("window", ["=window", "=true", "=false"]),
        ("meal", ["=meal", "none", "vegan"]),
    ],
)
def test_where_values_are_few_they_are_picked(
    hold_seat: Template, name: str, values: list[str]
) -> None:
    picked = field(hold_seat, f"input_{name}")

    assert picked["type"] == "Dropdown"
    assert [one["value"] for one in picked["choices"]] == values


def test_a_compensation_asks_for_no_input_but_which_runs_it_undoes(free_seat: Template) -> None:
    assert written_by(free_seat, "zeebe:input") == []
    assert written_by(free_seat, "zeebe:taskHeader") == [("undo", "all")]
    assert "Undoes hold_seat" in free_seat["description"]


def test_retries_of_none_cannot_be_typed(hold_seat: Template) -> None:
    import re

    pattern = field(hold_seat, "retries")["constraints"]["pattern"]["value"]

    assert [bool(re.fullmatch(pattern, text)) for text in ("0", "-1", "", "1", "=n")] == [
        False, False, False, True, True,
    ]  # fmt: skip


def test_camunda_calls_each_template_valid(
    flights: Service, tmp_path: Path, node: Callable[..., str]
) -> None:
    project = Project.load(ROOT)
    files = [one.path for one in write(tmp_path, [flights, *project.load_services()])]

    assert json.loads(node("validator.mjs", *files)) == {str(file): [] for file in files}


def test_camunda_would_say_what_is_wrong(tmp_path: Path, node: Callable[..., str]) -> None:
    """Else no line above would prove nothing."""
    service = Service("stock")

    @service.step(kind="retriable")
    def count_stock(session: Session, sku: str) -> None:
        pass

    (file,) = (one.path for one in write(tmp_path, [service]))
    file.write_text(file.read_text().replace("zeebe:input", "zeebe:inpud"))

    assert json.loads(node("validator.mjs", file))[str(file)]
