"""From the engine's records to what a test run has gone through."""

import json
from pathlib import Path

import pytest

from sagaworks.errors import ContractError
from sagaworks.testing.coverage.measure import DiagramCoverage, Report, measure
from sagaworks.testing.coverage.sightings import Sightings
from sagaworks.testing.coverage.table import table
from tests.coverage.samples import NESTED, PLACE_ORDER, records_of


def seen(*runs: str) -> Sightings:
    """What these runs of place_order show, each on an engine of its own."""
    sightings = Sightings()
    for run in runs:
        sightings.see(records_of(run))
    return sightings


def coverage(*runs: str) -> DiagramCoverage:
    (one,) = measure(seen(*runs), [PLACE_ORDER]).diagrams
    return one


@pytest.fixture
def nested() -> DiagramCoverage:
    """A sub-process with a handler, of it and in it; undone by name, then everything by refusal."""
    sightings = Sightings()
    sightings.see(records_of("nested", NESTED))
    (one,) = measure(sightings).diagrams
    return one


def test_an_order_that_is_shipped_goes_through_the_upper_line_only() -> None:
    one = coverage("shipped")

    assert [str(share) for share in one.shares.values()] == ["8/25", "7/13", "0/4"]
    assert {"release_stock", "payment_overdue", "undo_order"} <= set(one.elements.missing)
    assert one.flows.missing[0] == "refused_or_overdue_to_cancel_the_shipment"


def test_what_one_test_misses_another_covers() -> None:
    runs = coverage("shipped", "no_carrier", "overdue", "refused_late")

    assert [share.missing for share in runs.shares.values()] == [[], [], []]


def test_a_step_that_refused_is_not_covered_by_it() -> None:
    assert "book_shipment" in coverage("no_carrier").elements.missing


def test_an_end_event_that_throws_an_error_is_covered_though_it_never_completes() -> None:
    assert "not_paid_in_time" not in coverage("overdue").elements.missing


def test_a_throw_event_that_undid_nothing_covers_no_compensation_path() -> None:
    """book_shipment had refused: its throw event was passed through."""
    one = coverage("no_carrier")

    assert "cancel_the_shipment" not in one.elements.missing
    assert one.compensations.missing == ["cancel_the_shipment -> book_shipment"]


def test_things_are_counted_over_all_tests() -> None:
    one = coverage("shipped", "no_carrier", "no_carrier")

    assert one.elements.seen["accept_order"] == 3
    assert one.flows.seen["order_placed_to_accept_order"] == 3
    assert one.undos["release_the_stock", "hold_stock"] == 2


def test_undoing_a_sub_process_undoes_what_is_in_it(nested: DiagramCoverage) -> None:
    assert nested.undos["throw_p", "p"] == nested.undos["throw_p", "b"] == 1
    assert ("throw_p", "a") not in nested.undos


def test_a_throw_event_that_names_nothing_can_undo_all_that_is_around_it(
    nested: DiagramCoverage,
) -> None:
    """Also out of an event sub-process: it undoes what is around that."""
    assert [activity for throw, activity in nested.undos if throw == "ue"] == ["a", "b", "p"]
    assert nested.undos["ue", "a"] == 1


def test_the_runs_of_a_multi_instance_are_counted_without_its_body(nested: DiagramCoverage) -> None:
    assert nested.elements.seen["b"] == 3


def test_sightings_travel_to_another_process() -> None:
    sent = json.dumps(seen("shipped", "no_carrier").as_data())

    received = Sightings.of_data(json.loads(sent))
    received.merge(seen("overdue"))

    together = measure(received, [PLACE_ORDER])
    assert [*table(together)] == [
        *table(measure(seen("shipped", "no_carrier", "overdue"), [PLACE_ORDER]))
    ]


def test_keys_of_two_engines_are_kept_apart() -> None:
    """Both begin with the same keys; what the second did belongs to its own diagram."""
    sightings = seen("shipped")
    sightings.see(records_of("nested", NESTED))

    place_order, nested = measure(sightings).diagrams

    assert place_order.elements.covered == 8
    assert nested.elements.seen["a"] == 1


def test_on_a_shared_engine_a_diagram_is_deployed_once_for_many_tests() -> None:
    sightings = seen("shipped")
    sightings.see([one for one in records_of("no_carrier") if one["valueType"] != "PROCESS"])

    (place_order,) = measure(sightings).diagrams

    assert place_order.elements.seen["accept_order"] == 2


def test_a_diagram_that_no_test_deployed_is_wholly_missing() -> None:
    report = measure(Sightings(), [PLACE_ORDER])

    assert report.percent == 0
    assert [*table(report)][1] == "place_order      0/25   0/13            0/4"


def test_of_a_project_its_own_diagrams_count_and_no_others() -> None:
    sightings = seen("shipped")
    sightings.see(records_of("nested", NESTED))

    report = measure(sightings, [PLACE_ORDER])

    assert [one.diagram.process_id for one in report.diagrams] == ["place_order"]
    assert report.notes == ["not counted: nest, deployed from nest.bpmn: no diagram of the project"]


def test_another_text_of_a_projects_diagram_is_not_taken_for_it(tmp_path: Path) -> None:
    changed = tmp_path / "place_order.bpmn"
    changed.write_text(PLACE_ORDER.read_text().replace("Hold stock", "Reserve stock"))

    report = measure(seen("shipped"), [changed])

    assert report.percent == 0
    where = "not counted: place_order, deployed from place_order.bpmn"
    assert report.notes == [f"{where}: not the text of the project's place_order.bpmn"]


def test_a_deployed_file_that_is_no_saga_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "place_order.bpmn"
    broken.write_text("<definitions/>")
    sightings = Sightings()
    sightings.see(records_of("shipped", broken))

    report = measure(sightings)

    assert report.diagrams == []
    assert report.notes == ["not counted: place_order.bpmn:1: not a BPMN 2.0 diagram"]


def test_a_projects_diagram_that_is_broken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"no\.bpmn"):
        measure(Sightings(), [tmp_path / "no.bpmn"])


def test_records_of_a_diagram_whose_deployment_was_not_seen_are_passed_over() -> None:
    records = [one for one in records_of("shipped") if one["valueType"] != "PROCESS"]
    sightings = Sightings()

    sightings.see(records)

    assert [*sightings] == []


def test_only_what_is_whole_is_a_hundred() -> None:
    one = coverage("shipped", "no_carrier", "overdue")

    assert Report([one]).shown_percent == "92 %"
    assert Report([coverage("shipped", "refused_late", "overdue")]).shown_percent == "100 %"
    assert Report([]).percent == 0


def test_the_table_names_what_is_missing() -> None:
    report = measure(seen("shipped", "no_carrier", "overdue"), [PLACE_ORDER])

    assert [*table(report)] == [
        "diagram      elements  flows  compensations",
        "place_order     23/25  13/13            3/4",
        "  missing elements: book_shipment_undone_by, cancel_shipment",
        "  missing compensations: cancel_the_shipment -> book_shipment",
        "total 92 %",
    ]
