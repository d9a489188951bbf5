"""The page of pictures."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree, html

from sagaworks.picture import PAINTS, draw
from sagaworks.testing.coverage.measure import DiagramCoverage, Report, measure
from sagaworks.testing.coverage.page import marks, page
from sagaworks.testing.coverage.sightings import Sightings
from tests.coverage.samples import PLACE_ORDER, records_of

Reporter = Callable[..., Report]


@pytest.fixture
def report_of() -> Reporter:
    def report_of(*runs: str, diagram: Path = PLACE_ORDER) -> Report:
        sightings = Sightings()
        for run in runs:
            sightings.see(records_of(run, diagram))
        return measure(sightings)

    return report_of


def the_one(report: Report) -> DiagramCoverage:
    (one,) = report.diagrams
    return one


def test_each_element_says_how_often_it_was_gone_through(report_of: Reporter) -> None:
    painted = marks(the_one(report_of("shipped", "overdue")))

    assert (painted["hold_stock"].state, painted["hold_stock"].label) == ("covered", "2")
    assert (painted["refund_card"].state, painted["refund_card"].label) == ("missed", "0")
    assert painted["hold_stock_to_charge_card"].label is None


def test_a_throw_event_that_only_passed_through_is_painted_as_half_done(
    report_of: Reporter,
) -> None:
    painted = marks(the_one(report_of("no_carrier")))

    assert (painted["cancel_the_shipment"].state, painted["cancel_the_shipment"].label) == (
        "partly",
        "0/1",
    )
    assert painted["release_the_stock"].state == "covered"


def test_the_association_to_a_handler_is_painted_as_its_event(report_of: Reporter) -> None:
    drawn = page(report_of("shipped"))

    dotted = [
        path.get("stroke")
        for path in html.fromstring(drawn).iter("path")
        if path.get("stroke-dasharray") == "0.5 5" and path.get("stroke-linecap") == "round"
    ]
    assert dotted.count(PAINTS["missed"].line) == 4


def test_missed_flows_are_dashed_for_who_sees_no_colours(report_of: Reporter) -> None:
    assert page(report_of("shipped")).count('stroke-dasharray="7 5"') == 6


def test_the_page_names_what_is_missing_and_shows_the_total(report_of: Reporter) -> None:
    words = html.fromstring(page(report_of("no_carrier"))).text_content()

    assert "Saga coverage: 69 %" in words
    assert "missing compensations: cancel_the_shipment -> book_shipment" in words


def test_the_page_needs_no_other_file(report_of: Reporter) -> None:
    root = html.fromstring(page(report_of("shipped")))

    assert [node.tag for node in root.iter("script", "link", "img", "iframe")] == []
    assert [node.get("href") for node in root.iter("a")] == ["#place_order"]


def test_names_out_of_a_diagram_are_text_and_never_markup(
    report_of: Reporter, tmp_path: Path
) -> None:
    hostile = tmp_path / "place_order.bpmn"
    text = PLACE_ORDER.read_text()
    text = text.replace('name="Hold stock"', 'name="&lt;script&gt;alert(1)&lt;/script&gt;"')
    hostile.write_text(text.replace("cancel_shipment", "a-&lt;b&gt;"))

    drawn = page(report_of("shipped", diagram=hostile))

    assert "<script" not in drawn
    assert "<b>" not in drawn


def test_the_pictures_in_the_page_are_svg(report_of: Reporter) -> None:
    drawn = page(report_of("shipped"))
    svg = drawn[drawn.index("<svg") : drawn.index("</svg>") + 6]

    assert etree.fromstring(svg).get("role") == "img"


def test_the_picture_in_the_pages_is_painted_by_three_runs(report_of: Reporter) -> None:
    """Else: write what is compared here into docs/pictures/place_order-coverage.svg."""
    one = the_one(report_of("shipped", "no_carrier", "overdue"))
    picture = PLACE_ORDER.parents[1] / "docs" / "pictures" / "place_order-coverage.svg"

    assert picture.read_text() == draw(PLACE_ORDER, marks(one))
