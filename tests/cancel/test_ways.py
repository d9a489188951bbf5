"""Which ways of being cancelled a deployed diagram draws."""

from pathlib import Path

import pytest

from sagaworks.cancel import CancelWay, cancel_ways

BPMN = """
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
             xmlns:zeebe="http://camunda.org/schema/zeebe/1.0">
  <process id="p" isExecutable="true">
    <subProcess id="undo_all" triggeredByEvent="true">
      <startEvent id="refused">{caught}</startEvent>
      <endEvent id="undone"><compensateEventDefinition/></endEvent>
    </subProcess>
    <subProcess id="stop_it" triggeredByEvent="true">
      <startEvent id="stopped"{interrupting}>{begins}</startEvent>
      <endEvent id="stop_ends">{ends}</endEvent>
    </subProcess>
  </process>
  <process id="another" isExecutable="true"/>
  <error id="no" errorCode="NO"/>
  <error id="stopped_error" errorCode="STOPPED"/>
  <message id="stop_message" name="stop"><extensionElements>
    <zeebe:subscription correlationKey="= saga_key"/></extensionElements></message>
</definitions>
"""
MESSAGE = '<messageEventDefinition messageRef="stop_message"/>'
UNDOES = "<compensateEventDefinition/>"
THROWS = '<errorEventDefinition errorRef="stopped_error"/>'
ANY = "<errorEventDefinition/>"
ONLY_NO = '<errorEventDefinition errorRef="no"/>'
ASKS = ' isInterrupting="false"'


def drawn(
    ends: str, *, begins: str = MESSAGE, caught: str = ANY, interrupting: str = ""
) -> list[CancelWay]:
    text = BPMN.format(ends=ends, begins=begins, caught=caught, interrupting=interrupting)
    return cancel_ways(text.encode(), "p")


def test_a_message_that_interrupts_and_compensates_is_a_way() -> None:
    assert drawn(UNDOES) == [CancelWay("stop_it", "stop", "saga_key", interrupts=True)]


def test_a_message_that_ends_in_an_error_after_which_all_is_undone_is_a_way() -> None:
    (way,) = drawn(THROWS, interrupting=ASKS)

    assert (way.message, way.interrupts) == ("stop", False)


@pytest.mark.parametrize(
    "changes",
    [
        {"ends": ""},
        {"ends": UNDOES, "begins": "<timerEventDefinition/>"},
        {"ends": UNDOES, "begins": '<signalEventDefinition signalRef="s"/>'},
        {"ends": THROWS, "caught": ONLY_NO},
        {"ends": UNDOES, "interrupting": ASKS},
    ],
    ids=["undoes-nothing", "timer", "signal", "another-error", "goes-on-after-the-undo"],
)
def test_what_does_not_end_with_all_undone_is_none(changes: dict[str, str]) -> None:
    assert drawn(**changes) == []


def test_another_process_of_the_diagram_has_ways_of_its_own() -> None:
    text = BPMN.format(ends=UNDOES, begins=MESSAGE, caught=ANY, interrupting="")

    assert cancel_ways(text.encode(), "another") == []


def test_a_trip_has_one_and_an_order_has_none() -> None:
    (way,) = cancel_ways(Path("bpmn/book_trip.bpmn").read_bytes(), "book_trip")

    assert way == CancelWay("cancel_trip", "trip_cancelled", "saga_key", interrupts=False)
    assert cancel_ways(Path("bpmn/place_order.bpmn").read_bytes(), "place_order") == []
