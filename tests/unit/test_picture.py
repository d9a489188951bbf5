"""Pictures: a diagram in its own layout, and a saga's way painted on it from its trail."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from sagaworks.diagram import Diagram, read_diagram
from sagaworks.picture import Mark, draw, paint_trail
from sagaworks.picture.__main__ import main, picture
from sagaworks.picture.paint import PAINTS

ROOT = Path(__file__).parents[2]
PLACE_ORDER = ROOT / "bpmn" / "place_order.bpmn"
PICTURES = ROOT / "docs" / "pictures"
SVG = "{http://www.w3.org/2000/svg}"

HEAD = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"'
    ' xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"'
    ' xmlns:di="http://www.omg.org/spec/BPMN/20100524/DI"'
    ' xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" targetNamespace="urn:test">'
)

Entry = dict[str, object]
Drawn = Callable[..., Path]


@pytest.fixture
def place_order() -> Diagram:
    return read_diagram(PLACE_ORDER)


@pytest.fixture
def drawn(tmp_path: Path) -> Drawn:
    def drawn(element: str, width: int = 100, height: int = 80) -> Path:
        """Write a diagram of one element with the id `it`."""
        path = tmp_path / "saga.bpmn"
        bounds = f'<dc:Bounds x="0" y="0" width="{width}" height="{height}"/>'
        shape = f'<di:BPMNShape id="it_di" bpmnElement="it">{bounds}</di:BPMNShape>'
        process = f'<process id="saga" isExecutable="true">{element}</process>'
        plane = f'<di:BPMNDiagram id="d"><di:BPMNPlane id="p">{shape}</di:BPMNPlane>'
        path.write_text(f"{HEAD}{process}{plane}</di:BPMNDiagram></definitions>")
        return path

    return drawn


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in etree.fromstring(svg).iter(f"{SVG}text")]


def happened(*events: str) -> list[Entry]:
    """Return a trail of events written as `hold_stock executed`, a second apart."""
    return [
        {
            "step": step,
            "element": step,
            "event": event,
            "at": f"2026-01-01T00:00:{second:02}.000+00:00",
            "in_doubt": False,
        }
        for second, (step, event) in enumerate(one.split() for one in events)
    ]


def states(marks: dict[str, Mark]) -> dict[str, str]:
    return {id_: mark.state for id_, mark in marks.items()}


def test_each_name_of_the_diagram_is_written_in_the_picture(place_order: Diagram) -> None:
    written = " ".join(texts(draw(PLACE_ORDER)))

    assert [one.name for one in place_order.elements.values() if one.name not in written] == []


def test_the_picture_is_as_large_as_the_drawing() -> None:
    root = etree.fromstring(draw(PLACE_ORDER))

    assert root.get("viewBox") == "112 56 1250 478"


def test_a_mark_paints_its_shape_and_labels_it() -> None:
    marked = draw(PLACE_ORDER, {"hold_stock": Mark("refused", "OUT_OF_STOCK")})

    assert PAINTS["refused"].fill not in draw(PLACE_ORDER)
    assert PAINTS["refused"].fill in marked
    assert "OUT_OF_STOCK" in texts(marked)


def test_a_mark_paints_a_flow() -> None:
    assert PAINTS["done"].line in draw(PLACE_ORDER, {"accept_order_to_hold_stock": Mark("done")})


def test_marks_of_what_is_not_drawn_are_passed_over() -> None:
    assert draw(PLACE_ORDER, {"elsewhere": Mark("done")}) == draw(PLACE_ORDER)


def test_names_and_labels_are_text_and_never_markup(drawn: Drawn) -> None:
    path = drawn('<serviceTask id="it" name="&lt;script&gt; &amp; &quot;co&quot;"/>')
    svg = draw(path, {"it": Mark("done", "<b>")})

    assert "<script>" not in svg
    assert texts(svg) == ['<script> & "co"', "<b>"]


@pytest.mark.parametrize(
    "element",
    [
        '<userTask id="it" name="Look"/>',
        '<sendTask id="it" name="Look"/>',
        '<receiveTask id="it" name="Look"/>',
        '<callActivity id="it" name="Look"/>',
        (
            '<task id="it" name="Look" isForCompensation="true">'
            '<multiInstanceLoopCharacteristics isSequential="true"/></task>'
        ),
        '<subProcess id="it" name="Look"><multiInstanceLoopCharacteristics/></subProcess>',
        '<participant id="it" name="Look"/>',
        '<textAnnotation id="it"><text>Look</text></textAnnotation>',
    ],
)
def test_what_is_large_enough_has_its_name_inside(drawn: Drawn, element: str) -> None:
    assert texts(draw(drawn(element))) == ["Look"]


@pytest.mark.parametrize(
    "element",
    [
        '<exclusiveGateway id="it"/>',
        '<eventBasedGateway id="it"/>',
        '<intermediateCatchEvent id="it"><messageEventDefinition/></intermediateCatchEvent>',
        '<boundaryEvent id="it" cancelActivity="false"><timerEventDefinition/></boundaryEvent>',
        '<endEvent id="it"><terminateEventDefinition/></endEvent>',
    ],
)
def test_events_and_gateways_are_round_or_square_with_an_icon(drawn: Drawn, element: str) -> None:
    root = etree.fromstring(draw(drawn(element, 36, 36)))

    assert len(list(root.iter(f"{SVG}path", f"{SVG}circle"))) >= 2


def test_a_diagram_without_layout_is_an_empty_sheet(tmp_path: Path) -> None:
    path = tmp_path / "saga.bpmn"
    path.write_text(f'{HEAD}<process id="saga" isExecutable="true"/></definitions>')

    assert texts(draw(path)) == []


def test_a_saga_that_was_undone_is_painted_with_its_way_back(place_order: Diagram) -> None:
    trail = happened(
        "accept_order executed",
        "hold_stock executed",
        "charge_card refused",
        "hold_stock undone",
        "accept_order undone",
    )
    trail[2]["code"] = "CARD_DECLINED"
    marks = paint_trail(place_order, trail)

    assert marks["hold_stock"] == Mark("undone", "2")
    assert marks["charge_card"] == Mark("refused", "3 CARD_DECLINED")
    assert marks["release_stock"] == Mark("undone", "4")
    assert marks["reject_order"] == Mark("undone", "5")
    assert marks["hold_stock_to_charge_card"] == Mark("done")
    assert marks["order_undone"] == Mark("undone")
    assert marks["hold_stock_undone_by"] == Mark("undone")
    assert not {"charge_card_to_book_shipment", "refund_card", "payment_overdue"} & set(marks)


def test_a_saga_that_went_through_is_green_to_its_end(place_order: Diagram) -> None:
    steps = [id_ for id_, task in place_order.tasks.items() if not task.is_compensation]
    marks = paint_trail(place_order, happened(*[f"{step} executed" for step in steps]))

    assert {"order_placed", "order_shipped", "ship_stock_to_order_shipped"} <= set(marks)
    assert set(states(marks).values()) == {"done"}
    assert "refused_or_overdue" not in marks


def test_a_saga_on_its_way_back_is_painted_as_far_as_it_is(place_order: Diagram) -> None:
    marks = paint_trail(
        place_order,
        happened(
            "accept_order executed",
            "hold_stock executed",
            "charge_card refused",
            "hold_stock undone",
        ),
    )

    assert marks["release_the_stock"] == Mark("undone")
    assert marks["accept_order"] == Mark("done", "1")
    assert "reject_the_order" not in marks
    assert "order_undone" not in marks


def test_a_first_step_that_refuses_leaves_nothing_to_undo(place_order: Diagram) -> None:
    marks = paint_trail(place_order, happened("accept_order refused"))

    assert states(marks)["accept_order"] == "refused"
    assert states(marks)["order_undone"] == "undone"


@pytest.fixture
def branching(tmp_path: Path) -> Diagram:
    """A step, then a choice of two ends; a boundary that catches its refusal; undo all at once."""
    path = tmp_path / "branching.bpmn"
    path.write_text(
        f"""{HEAD}<process id="branching" isExecutable="true">
        <startEvent id="start"/><serviceTask id="a"/><exclusiveGateway id="choice"/>
        <endEvent id="one"/><endEvent id="other"/>
        <boundaryEvent id="no" attachedToRef="a"><errorEventDefinition/></boundaryEvent>
        <sequenceFlow id="f1" sourceRef="start" targetRef="a"/>
        <sequenceFlow id="f2" sourceRef="a" targetRef="choice"/>
        <sequenceFlow id="f3" sourceRef="choice" targetRef="one"/>
        <sequenceFlow id="f4" sourceRef="choice" targetRef="other"/>
        <serviceTask id="b"/><serviceTask id="undo_b" isForCompensation="true"/>
        <boundaryEvent id="b_undone" attachedToRef="b"><compensateEventDefinition/></boundaryEvent>
        <association id="b_by" sourceRef="b_undone" targetRef="undo_b"/>
        <serviceTask id="c"/><serviceTask id="undo_c" isForCompensation="true"/>
        <boundaryEvent id="c_undone" attachedToRef="c"><compensateEventDefinition/></boundaryEvent>
        <association id="c_by" sourceRef="c_undone" targetRef="undo_c"/>
        <subProcess id="undo" triggeredByEvent="true">
          <startEvent id="refused"><errorEventDefinition/></startEvent>
          <intermediateThrowEvent id="all"><compensateEventDefinition/></intermediateThrowEvent>
          <endEvent id="undone"/>
          <sequenceFlow id="u1" sourceRef="refused" targetRef="all"/>
          <sequenceFlow id="u2" sourceRef="all" targetRef="undone"/>
        </subProcess></process></definitions>"""
    )
    return read_diagram(path)


def test_an_end_that_may_not_have_been_reached_stays_plain(branching: Diagram) -> None:
    assert set(paint_trail(branching, happened("a executed"))) == {"start", "f1", "a"}


def test_a_refusal_that_a_boundary_catches_starts_no_undoing(branching: Diagram) -> None:
    assert "refused" not in paint_trail(branching, happened("a refused"))


def test_a_throw_that_undoes_everything_is_painted_with_the_first_undo(branching: Diagram) -> None:
    marks = paint_trail(branching, happened("b executed", "c executed", "c undone"))

    assert states(marks)["all"] == "undone"
    assert "undone" not in marks


def test_an_intent_waits_and_an_open_question_is_in_doubt(place_order: Diagram) -> None:
    trail = happened("accept_order executed", "book_shipment intended")
    trail[0]["in_doubt"] = True

    assert states(paint_trail(place_order, trail)) == {
        "accept_order": "in_doubt",
        "book_shipment": "waiting",
        "order_placed": "done",
        "order_placed_to_accept_order": "done",
    }


def test_a_step_that_ran_several_times_says_how_often(place_order: Diagram) -> None:
    marks = paint_trail(place_order, happened("hold_stock executed", "hold_stock executed"))

    assert marks["hold_stock"] == Mark("done", "2 times")


def test_fences_and_strangers_leave_no_mark(place_order: Diagram) -> None:
    assert paint_trail(place_order, happened("hold_stock fenced", "bake_cake executed")) == {}


def test_the_order_of_the_entries_does_not_matter(place_order: Diagram) -> None:
    trail = happened("accept_order executed", "hold_stock executed", "hold_stock undone")

    assert paint_trail(place_order, trail[::-1]) == paint_trail(place_order, trail)


def test_a_renamed_element_is_found_by_its_step(place_order: Diagram) -> None:
    trail = happened("hold_stock executed")
    trail[0]["element"] = "reserve_stock"

    assert "hold_stock" in paint_trail(place_order, trail)


@pytest.mark.parametrize("name", ["place_order", "place_order-undone", "book_trip"])
def test_the_pictures_in_the_pages_show_the_diagram_as_it_is(name: str) -> None:
    """Else: python -m sagaworks.picture bpmn/place_order.bpmn [docs/pictures/….json] > ….svg."""
    trail = PICTURES / f"{name}.json"
    diagram = ROOT / "bpmn" / f"{name.partition('-')[0]}.bpmn"
    now = picture(diagram, trail if trail.exists() else None)

    assert (PICTURES / f"{name}.svg").read_text() == now


def test_the_command_prints_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(PLACE_ORDER)]) == 0
    assert capsys.readouterr().out == draw(PLACE_ORDER)


def test_the_command_says_in_one_line_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trail = tmp_path / "trail.json"
    trail.write_text(json.dumps([]))

    assert main([]) == 2
    assert main([str(tmp_path / "no.bpmn")]) == 1
    assert main([str(PLACE_ORDER), str(trail)]) == 1
    assert capsys.readouterr().err.count("\n") == 3
