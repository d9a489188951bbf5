"""Diagrams of every shape in which the engine compensates, as small as can be.

Flows are named ``from>to``. Each step is undone by a handler named ``undo_<step>``.
"""

from itertools import pairwise

HEAD = """
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
             xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
             xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="test">
  <message id="hurry" name="hurry"><extensionElements>
    <zeebe:subscription correlationKey="=saga_key"/></extensionElements></message>
  <error id="refused" errorCode="NO"/>
  <process id="shape" isExecutable="true">
"""


def diagram(*parts: str) -> str:
    """A process of these parts."""
    return f"{HEAD}{within(*parts)}</process></definitions>"


def within(*parts: str) -> str:
    """A scope's parts; associations come last, as the schema wants it, and in their own scope."""
    whole = "".join(parts)
    handlers = [word.split('"')[0] for word in whole.split('<boundaryEvent id="undo_of_')[1:]]
    ends = (
        f'<association id="to_{name}" associationDirection="One"'
        f' sourceRef="undo_of_{name}" targetRef="undo_{name}"/>'
        for name in handlers
        if f'<association id="to_{name}"' not in whole
    )
    return "".join((whole, *ends))


def chain(*ids: str) -> str:
    """Flows from each to the next."""
    return "".join(flow(one, other) for one, other in pairwise(ids))


def flow(source: str, target: str, when: str = "") -> str:
    condition = f'<conditionExpression xsi:type="tFormalExpression">={when}</conditionExpression>'
    about = f'id="{source}-{target}" sourceRef="{source}" targetRef="{target}"'
    return f"<sequenceFlow {about}>{condition if when else ''}</sequenceFlow>"


def start(id_: str = "begin") -> str:
    return f'<startEvent id="{id_}"/>'


def end(id_: str = "end") -> str:
    return f'<endEvent id="{id_}"/>'


def step(name: str, *, items: str = "", outputs: str = "", leave: str = "") -> str:
    """A step and its handler; over `items` it's a multi-instance, each item called `line`."""
    return f"{task(name, items=items, outputs=outputs, leave=leave)}{undone(name)}"


def task(name: str, *, items: str = "", outputs: str = "", leave: str = "") -> str:
    inner = repeats(items) if items else ""
    more = outputs and f"<zeebe:ioMapping>{outputs}</zeebe:ioMapping>"
    return (
        f'<serviceTask id="{name}"><extensionElements>'
        f'<zeebe:taskDefinition type="shop.{name}"/>{more}{declared(leave)}'
        f"</extensionElements>{inner}</serviceTask>"
    )


def undone(name: str, *, items: str = "") -> str:
    """The handler of a step; itself a multi-instance where it's given items."""
    return (
        f'<boundaryEvent id="undo_of_{name}" attachedToRef="{name}">'
        f'<compensateEventDefinition id="undoes_{name}"/></boundaryEvent>'
        f'<serviceTask id="undo_{name}" isForCompensation="true"><extensionElements>'
        f'<zeebe:taskDefinition type="shop.undo_{name}"/></extensionElements>'
        f"{repeats(items) if items else ''}</serviceTask>"
    )


def repeats(items: str) -> str:
    return (
        "<multiInstanceLoopCharacteristics><extensionElements>"
        f'<zeebe:loopCharacteristics inputCollection="={items}" inputElement="line"/>'
        "</extensionElements></multiInstanceLoopCharacteristics>"
    )


def declared(leave: str) -> str:
    if not leave:
        return ""
    return (
        f'<zeebe:properties><zeebe:property name="saga.leave" value="{leave}"/></zeebe:properties>'
    )


def inside(name: str, *parts: str, items: str = "", leave: str = "") -> str:
    """A sub-process."""
    more = f"<extensionElements>{declared(leave)}</extensionElements>" if leave else ""
    loops = repeats(items) if items else ""
    return f'<subProcess id="{name}">{more}{loops}{within(*parts)}</subProcess>'


def throw(name: str, activity: str = "") -> str:
    """A compensation throw event: of one activity, or of everything at once."""
    of = f' activityRef="{activity}"' if activity else ""
    return (
        f'<intermediateThrowEvent id="{name}">'
        f'<compensateEventDefinition id="{name}_definition"{of}/></intermediateThrowEvent>'
    )


def caught(name: str, attached_to: str) -> str:
    """An error boundary event."""
    return (
        f'<boundaryEvent id="{name}" attachedToRef="{attached_to}">'
        f"<outgoing>{name}-end</outgoing>"
        f'<errorEventDefinition id="{name}_definition" errorRef="refused"/></boundaryEvent>'
    )


def hurried(name: str, attached_to: str) -> str:
    """An interrupting message boundary event."""
    return (
        f'<boundaryEvent id="{name}" attachedToRef="{attached_to}">'
        f"<outgoing>{name}-end</outgoing>"
        f'<messageEventDefinition id="{name}_definition" messageRef="hurry"/></boundaryEvent>'
    )


def loop(name: str, upon: str) -> str:
    """An exclusive gateway that leads back while the condition holds."""
    return f'<exclusiveGateway id="{name}" default="{name}-{upon}"/>'
