"""Reading diagrams: what a good one says, and how a bad one is refused."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from sagaworks import ContractError
from sagaworks.diagram import ANY_CODE, EVERYTHING, Diagram, read_diagram

PLACE_ORDER = Path(__file__).parents[2] / "bpmn" / "place_order.bpmn"

Draw = Callable[..., Diagram]
Refused = Callable[[bytes], str]

HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="urn:test">
"""


@pytest.fixture
def place_order() -> Diagram:
    return read_diagram(PLACE_ORDER)


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    def draw(process: str, definitions: str = "") -> Diagram:
        path = tmp_path / "saga.bpmn"
        body = f'<process id="saga" isExecutable="true">{process}</process>{definitions}'
        path.write_text(f"{HEAD}{dedent(body)}</definitions>")
        return read_diagram(path)

    return draw


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    def refused(content: bytes) -> str:
        monkeypatch.chdir(tmp_path)
        path = tmp_path / "saga.bpmn"
        path.write_bytes(content)
        with pytest.raises(ContractError) as error:
            read_diagram(path)
        return str(error.value)

    return refused


def service_task(id_: str, inner: str = "", attributes: str = "") -> str:
    definition = f'<zeebe:taskDefinition type="test.{id_}"/>'
    return (
        f'<serviceTask id="{id_}" {attributes}><extensionElements>{definition}'
        f"</extensionElements>{inner}</serviceTask>"
    )


def flows(*pairs: str) -> str:
    ends = [pair.split(">") for pair in pairs]
    return "".join(f'<sequenceFlow id="{a}_{b}" sourceRef="{a}" targetRef="{b}"/>' for a, b in ends)


def test_the_reference_saga_reads_as_it_is_drawn(place_order: Diagram) -> None:
    assert place_order.process_id == "place_order"
    assert [task.id for task in place_order.first_steps()] == ["accept_order"]
    assert place_order.error_codes_caught == {ANY_CODE}
    assert place_order.loops == frozenset()
    assert {id_: task.handler for id_, task in place_order.tasks.items() if task.handler} == {
        "accept_order": "reject_order",
        "hold_stock": "release_stock",
        "charge_card": "refund_card",
        "book_shipment": "cancel_shipment",
    }


def test_the_order_of_undoing_is_drawn_last_step_first(place_order: Diagram) -> None:
    following = {flow.source: flow.target for flow in place_order.flows}
    here, undone = "refused_or_overdue", []
    while here := following.get(here, ""):
        undone += [place_order.throws[here]] if here in place_order.throws else []

    assert undone == ["book_shipment", "charge_card", "hold_stock", "accept_order"]


def test_each_handler_stands_straight_below_its_step(place_order: Diagram) -> None:
    root = place_order.path.read_text()

    for task in place_order.tasks.values():
        if task.handler:
            step, handler = bounds(root, task.id), bounds(root, task.handler)
            assert handler["x"] == step["x"]
            assert handler["y"] > step["y"]


def bounds(text: str, id_: str) -> dict[str, float]:
    after = text.partition(f'bpmnElement="{id_}"')[2].partition("Bounds ")[2].partition("/>")[0]
    return {
        key: float(value.strip('"')) for key, value in (one.split("=") for one in after.split())
    }


def test_a_task_carries_what_the_modeler_wrote(draw: Draw) -> None:
    task = draw("""
        <serviceTask id="hold_stock" name="Hold&#10;stock">
          <extensionElements>
            <zeebe:taskDefinition type="inventory.hold_stock" retries="7"/>
            <zeebe:taskHeaders><zeebe:header key="undo" value="all"/></zeebe:taskHeaders>
            <zeebe:ioMapping>
              <zeebe:input source="=item.sku" target="sku"/>
              <zeebe:output source="=stock_held" target="held"/>
            </zeebe:ioMapping>
            <zeebe:properties><zeebe:property name="saga.kind" value="pivot"/></zeebe:properties>
          </extensionElements>
        </serviceTask>
    """).tasks["hold_stock"]

    assert task.name == "Hold stock"
    assert (task.job_type, task.retries, task.line) == ("inventory.hold_stock", 7, 5)
    assert task.headers == {"undo": "all"}
    assert task.inputs == (("sku", "=item.sku"),)
    assert task.outputs == (("held", "=stock_held"),)
    assert task.saga_kind == "pivot"


@pytest.mark.parametrize("written, read", [("0", 0), ("=tries", "=tries"), ("many", "many")])
def test_retries_are_a_number_or_what_was_written(draw: Draw, written: str, read: object) -> None:
    job = f'<zeebe:taskDefinition type="x" retries="{written}"/>'
    task = f'<serviceTask id="a"><extensionElements>{job}</extensionElements></serviceTask>'

    assert draw(task).tasks["a"].retries == read


def test_a_task_without_retries_has_the_engines_three(draw: Draw) -> None:
    assert draw(service_task("a")).tasks["a"].retries == 3


def test_of_two_handlers_only_the_first_undoes_as_in_the_engine(draw: Draw) -> None:
    diagram = draw(
        service_task("a")
        + '<boundaryEvent id="e" attachedToRef="a"><compensateEventDefinition id="d"/>'
        + "</boundaryEvent>"
        + service_task("b", attributes='isForCompensation="true"')
        + service_task("c", attributes='isForCompensation="true"')
        + '<association id="ab" sourceRef="e" targetRef="b"/>'
        + '<association id="ac" sourceRef="e" targetRef="c"/>'
    )

    assert diagram.tasks["a"].handler == "b"
    assert diagram.tasks["b"].undoes == "a"
    assert diagram.tasks["c"].undoes is None


def test_a_throw_that_names_no_activity_undoes_everything(draw: Draw) -> None:
    event = '<compensateEventDefinition id="d"/>'
    diagram = draw(f'<intermediateThrowEvent id="undo">{event}</intermediateThrowEvent>')

    assert diagram.throws == {"undo": EVERYTHING}


def test_caught_codes_are_those_of_boundaries_and_event_sub_processes(draw: Draw) -> None:
    diagram = draw(
        service_task("a")
        + '<boundaryEvent id="no" attachedToRef="a"><errorEventDefinition id="d1" errorRef="e1"/>'
        + '</boundaryEvent><endEvent id="end">'
        + '<errorEventDefinition id="d2" errorRef="e2"/></endEvent>',
        '<error id="e1" errorCode="OUT_OF_STOCK"/><error id="e2" errorCode="LATE"/>',
    )

    assert diagram.error_codes_caught == {"OUT_OF_STOCK"}


def test_first_steps_are_found_behind_gateways_and_inside_sub_processes(draw: Draw) -> None:
    diagram = draw(
        '<startEvent id="start"/><parallelGateway id="fork"/>'
        + service_task("a")
        + '<subProcess id="inner"><startEvent id="inner_start"/>'
        + service_task("b")
        + flows("inner_start>b")
        + "</subProcess>"
        + service_task("later")
        + flows("start>fork", "fork>a", "fork>inner", "inner>later")
    )

    assert [task.id for task in diagram.first_steps()] == ["a", "b"]


def test_the_step_behind_an_empty_sub_process_is_a_first_step(draw: Draw) -> None:
    diagram = draw(
        '<startEvent id="start"/><subProcess id="inner"><startEvent id="s"/><endEvent id="e"/>'
        + flows("s>e")
        + "</subProcess>"
        + service_task("a")
        + flows("start>inner", "inner>a")
    )

    assert [task.id for task in diagram.first_steps()] == ["a"]


def test_an_event_sub_process_holds_no_first_step(draw: Draw) -> None:
    diagram = draw(
        '<startEvent id="start"/>'
        + service_task("a")
        + '<subProcess id="undo" triggeredByEvent="true"><startEvent id="refused"/>'
        + service_task("b")
        + flows("refused>b")
        + "</subProcess>"
        + flows("start>a")
    )

    assert [task.id for task in diagram.first_steps()] == ["a"]


def test_a_task_that_a_flow_comes_back_to_is_in_a_loop(draw: Draw) -> None:
    diagram = draw(
        service_task("before")
        + service_task("again")
        + service_task("after")
        + '<exclusiveGateway id="enough"/>'
        + flows("before>again", "again>enough", "enough>again", "enough>after")
    )

    assert diagram.loops == {"again"}


def test_between_two_loops_nothing_is_repeated(draw: Draw) -> None:
    diagram = draw("".join(service_task(id_) for id_ in "abc") + flows("a>a", "a>b", "b>c", "c>c"))

    assert diagram.loops == {"a", "c"}


def test_a_loop_may_lead_over_a_boundary_event_and_round_a_sub_process(draw: Draw) -> None:
    diagram = draw(
        '<subProcess id="inner">'
        + service_task("a")
        + "</subProcess>"
        + '<boundaryEvent id="late" attachedToRef="inner"><timerEventDefinition id="d"/>'
        + "</boundaryEvent>"
        + flows("late>inner")
    )

    assert diagram.loops == {"a"}


def test_what_stands_in_a_multi_instance_sub_process_runs_for_each_item(draw: Draw) -> None:
    each = '<multiInstanceLoopCharacteristics id="m"/>'
    diagram = draw(
        f'<subProcess id="lines">{each}{service_task("a")}</subProcess>{service_task("b")}'
    )

    assert diagram.tasks["a"].multi_instance
    assert not diagram.tasks["b"].multi_instance


@pytest.mark.parametrize(
    "content, line, words",
    [
        (b"", 1, "not XML"),
        (b"a diagram", 1, "not XML"),
        (b"<a>\n<b></a>", 2, "not XML"),
        (b"\x00\xff\xfe", 1, "not XML"),
        (b"<a>" * 300 + b"</a>" * 300, 1, "depth"),
        (b"<html/>", 1, "not a BPMN 2.0 diagram"),
        (f"{HEAD}<process id='a'/></definitions>".encode(), 3, "no executable process"),
        (f"{HEAD}</definitions>".encode(), 3, "no executable process"),
    ],
)
def test_what_is_no_diagram_is_refused_with_its_line(
    refused: Refused, content: bytes, line: int, words: str
) -> None:
    message = refused(content)

    assert message.startswith(f"saga.bpmn:{line}: ")
    assert words in message
    assert "\n" not in message


def test_a_dtd_is_refused_before_anything_is_expanded_or_read(refused: Refused) -> None:
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 20))
    content = f'<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY a0 "ha">{laughs}]><a>&a19;</a>'

    assert refused(content.encode()) == "saga.bpmn:2: has a DTD; a diagram needs none, remove it"


def test_no_other_file_is_read(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    entity = f'<!DOCTYPE a [<!ENTITY e SYSTEM "{tmp_path}/secret">]>'

    assert "has a DTD" in refused(f"{entity}<a>&e;</a>".encode())


def test_a_file_beyond_five_megabytes_is_not_parsed(refused: Refused) -> None:
    assert refused(b"<" * 5_000_001) == "saga.bpmn: larger than 5 MB"


def test_each_double_id_is_one_line(refused: Refused) -> None:
    twice = PLACE_ORDER.read_bytes().replace(b'id="refund_card"', b'id="hold_stock"')
    twice = twice.replace(b'id="ship_stock"', b'id="hold_stock"')
    lines = refused(twice).splitlines()

    assert len(lines) == 2
    assert lines[0].endswith("id `hold_stock` is used twice, first in line 19")


def test_a_second_process_in_the_file_is_refused(refused: Refused) -> None:
    processes = '<process id="a" isExecutable="true"/><process id="b" isExecutable="true"/>'

    assert "a second process, `b`" in refused(f"{HEAD}{processes}</definitions>".encode())


def test_a_missing_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ContractError, match=r"^no\.bpmn: can't be read: No such file or directory$"
    ):
        read_diagram(Path("no.bpmn"))
