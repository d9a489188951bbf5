"""A message and a person's task, given to the real engines by the library's own functions."""

from typing import Any

import pytest

from sagaworks import EngineError
from sagaworks.awaited import complete_task, publish_message
from sagaworks.testing import Zeebe

pytestmark = [pytest.mark.engine, pytest.mark.zeebe_engines("embedded", "broker")]

WAITS = """
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
             xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="test">
  <process id="waits" isExecutable="true">
    <startEvent id="begin"><outgoing>f1</outgoing></startEvent>
    <userTask id="sign"><incoming>f1</incoming><outgoing>f2</outgoing></userTask>
    <receiveTask id="await_answer" messageRef="answer">
      <incoming>f2</incoming><outgoing>f3</outgoing>
    </receiveTask>
    <endEvent id="answered"><incoming>f3</incoming></endEvent>
    <sequenceFlow id="f1" sourceRef="begin" targetRef="sign"/>
    <sequenceFlow id="f2" sourceRef="sign" targetRef="await_answer"/>
    <sequenceFlow id="f3" sourceRef="await_answer" targetRef="answered"/>
  </process>
  <message id="answer" name="answer">
    <extensionElements><zeebe:subscription correlationKey="=saga_key"/></extensionElements>
  </message>
</definitions>
"""


def give(zeebe: Zeebe, function: Any, name: str, key: str, **variables: object) -> None:
    function(name, key=key, variables=variables, settings=zeebe.settings)


def test_a_saga_goes_on_with_what_it_is_given(zeebe: Zeebe) -> None:
    zeebe.deploy(WAITS)
    saga, other = zeebe.run("waits"), zeebe.run("waits")
    for one in (saga, other):
        one.wait_for("sign")

    give(zeebe, complete_task, "sign", saga.business_key, signed_by="Ada")
    give(zeebe, publish_message, "answer", saga.business_key, answer="yes")

    saga.assert_completed()
    saga.assert_variables(signed_by="Ada", answer="yes")
    assert [str(passage) for passage in other.trail_so_far] == ["sign waiting"]


def test_a_task_is_completed_once(zeebe: Zeebe) -> None:
    zeebe.deploy(WAITS)
    saga = zeebe.run("waits").wait_for("sign")
    give(zeebe, complete_task, "sign", saga.business_key)

    with pytest.raises(EngineError, match=r"doesn't wait for sign: it waits for no person"):
        give(zeebe, complete_task, "sign", saga.business_key)
