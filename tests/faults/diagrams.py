"""Diagrams for tests of faults, as small as can be."""

ONE_STEP = """
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
             xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="test">
  <process id="hold" isExecutable="true">
    <startEvent id="begin"><outgoing>f1</outgoing></startEvent>
    <serviceTask id="hold_stock">
      <extensionElements><zeebe:taskDefinition type="shop.hold_stock"/></extensionElements>
      <incoming>f1</incoming><outgoing>f2</outgoing>
    </serviceTask>
    <endEvent id="held"><incoming>f2</incoming></endEvent>
    <sequenceFlow id="f1" sourceRef="begin" targetRef="hold_stock"/>
    <sequenceFlow id="f2" sourceRef="hold_stock" targetRef="held"/>
  </process>
</definitions>
"""


def undone_at_once(*steps: str) -> str:
    """A process whose steps run one after another, and are then all undone by one throw event."""
    flow = ["begin", *steps, "give_up", "end"]
    return f"""
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
             xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="test">
  <process id="regret" isExecutable="true">
    <startEvent id="begin"><outgoing>from_begin</outgoing></startEvent>
    {"".join(map(_step, steps, flow))}
    <intermediateThrowEvent id="give_up">
      <incoming>from_{steps[-1]}</incoming><outgoing>from_give_up</outgoing>
      <compensateEventDefinition id="everything"/>
    </intermediateThrowEvent>
    <endEvent id="end"><incoming>from_give_up</incoming></endEvent>
    {"".join(map(_flow, flow, flow[1:]))}
    {"".join(map(_association, steps))}
  </process>
</definitions>
"""


def _step(name: str, before: str) -> str:
    return f"""
    <serviceTask id="{name}">
      <extensionElements><zeebe:taskDefinition type="shop.{name}"/></extensionElements>
      <incoming>from_{before}</incoming><outgoing>from_{name}</outgoing>
    </serviceTask>
    <boundaryEvent id="undo_of_{name}" attachedToRef="{name}">
      <compensateEventDefinition id="undoes_{name}"/>
    </boundaryEvent>
    <serviceTask id="undo_{name}" isForCompensation="true">
      <extensionElements><zeebe:taskDefinition type="shop.undo_{name}"/></extensionElements>
    </serviceTask>"""


def _flow(source: str, target: str) -> str:
    return f'<sequenceFlow id="from_{source}" sourceRef="{source}" targetRef="{target}"/>'


def _association(name: str) -> str:
    ends = f'sourceRef="undo_of_{name}" targetRef="undo_{name}"'
    return f'<association id="to_undo_{name}" associationDirection="One" {ends}/>'
