"""Zeebe's records as JSON, as the exporters and the test engine write them, read into values."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeGuard

from sagaworks.history.values import ENDED, Element, Incident, Instance, Job, Undoing
from sagaworks.saga import KEY_VARIABLE, ElementKey, JobKey, SagaKey

Record = Mapping[str, Any]
"""One record, parsed from JSON."""

LONGEST_MESSAGE: Final = 2_000
"""Characters of an error's message that are kept."""

_ENVELOPE: Final = (
    "partitionId",
    "position",
    "timestamp",
    "recordType",
    "valueType",
    "intent",
    "key",
)
_NOTHING: Final = (None, "", -1)

# All that is read of a record's value, by its type: nothing else is kept, so no variable is.
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "JOB": (
        "type",
        "processInstanceKey",
        "elementId",
        "elementInstanceKey",
        "retries",
        "errorCode",
        "errorMessage",
        "retryBackoff",
        "recurringTime",
    ),
    "PROCESS_INSTANCE": (
        "elementId",
        "bpmnElementType",
        "bpmnEventType",
        "processInstanceKey",
        "flowScopeKey",
        "bpmnProcessId",
        "version",
        "processDefinitionKey",
        "parentProcessInstanceKey",
    ),
    "VARIABLE": ("name", "value", "scopeKey", "processInstanceKey"),
    "INCIDENT": (
        "processInstanceKey",
        "elementId",
        "elementInstanceKey",
        "jobKey",
        "errorType",
        "errorMessage",
    ),
    "COMPENSATION_SUBSCRIPTION": (
        "processInstanceKey",
        "compensableActivityId",
        "compensableActivityInstanceKey",
        "compensationHandlerId",
        "compensationHandlerInstanceKey",
        "throwEventId",
    ),
    "PROCESS": ("bpmnProcessId", "version", "processDefinitionKey", "resource"),
}

# The rest is its process's, and told by the record of that.
_OF_AN_ELEMENT: Final = (
    "elementId",
    "bpmnElementType",
    "bpmnEventType",
    "processInstanceKey",
    "flowScopeKey",
)

EXTENDED: Final = "TIMEOUT_UPDATED"
"""What is said of a job whose lock was extended, which ends nothing."""

_OF_A_LOCK: Final = (*_FIELDS["JOB"], "deadline")

_NUMBERS: Final = frozenset(
    {
        "processInstanceKey",
        "elementInstanceKey",
        "retries",
        "retryBackoff",
        "recurringTime",
        "deadline",
        "flowScopeKey",
        "version",
        "processDefinitionKey",
        "parentProcessInstanceKey",
        "scopeKey",
        "jobKey",
        "compensableActivityInstanceKey",
        "compensationHandlerInstanceKey",
    }
)
"""The fields that are numbers; all others are text."""

_LARGEST: Final = 1 << 63
"""Zeebe's numbers are Java's longs."""

_NEEDED: Final[Mapping[str, frozenset[str]]] = {
    "JOB": frozenset({"type", "processInstanceKey", "elementId", "elementInstanceKey"}),
    "PROCESS_INSTANCE": frozenset({"elementId", "bpmnElementType", "processInstanceKey"}),
    "VARIABLE": frozenset({"name", "value", "scopeKey", "processInstanceKey"}),
    "INCIDENT": frozenset({"processInstanceKey"}),
    "COMPENSATION_SUBSCRIPTION": frozenset(
        {"processInstanceKey", "compensableActivityId", "compensableActivityInstanceKey"}
    ),
    "PROCESS": frozenset({"resource"}),
}
"""Without these a record tells nothing."""

_OF_A_PROCESS: Final = frozenset(
    {"processInstanceKey", "bpmnProcessId", "version", "processDefinitionKey"}
)

# On the way to an end that is told too.
_PASSING: Final = frozenset({"ELEMENT_COMPLETING", "ELEMENT_TERMINATING"})


def kept(record: Record) -> Record | None:
    """Return what history keeps of a record; None if it's none of history's business."""
    fields = _FIELDS.get(record["valueType"])
    if fields is None or record["recordType"] != "EVENT" or record["intent"] in _PASSING:
        return None
    value = record["value"]
    is_other_variable = record["valueType"] == "VARIABLE" and read_business_key(record) is None
    if is_other_variable or (record["valueType"] == "PROCESS" and not value.get("resource")):
        return None
    if value.get("bpmnElementType", "PROCESS") != "PROCESS":
        fields = _OF_AN_ELEMENT
    elif record["intent"] == EXTENDED:
        fields = _OF_A_LOCK
    slim = {name: value[name] for name in fields if value.get(name) not in _NOTHING}
    if len(slim.get("errorMessage", "")) > LONGEST_MESSAGE:
        slim["errorMessage"] = slim["errorMessage"][:LONGEST_MESSAGE]
    return {**{name: record[name] for name in _ENVELOPE}, "value": slim}


def is_long(value: object) -> TypeGuard[int]:
    """Whether it's a number as Zeebe writes them: what is larger fits in no column either."""
    return type(value) is int and -_LARGEST <= value < _LARGEST


def check(slim: Record) -> None:
    """Refuse a kept record that can't be added up.

    Raises:
        ValueError: something is missing, or of another type; says what, without values.
    """
    kind, value = slim["valueType"], slim["value"]
    needed = _NEEDED[kind]
    if kind == "PROCESS_INSTANCE" and value.get("bpmnElementType") == "PROCESS":
        needed = _OF_A_PROCESS
    if not value.keys() >= needed:
        raise ValueError(f"{kind} has no {min(needed - value.keys())}")
    for name, one in value.items():
        if name in _NUMBERS:
            if not is_long(one):
                raise ValueError(f"{name} of {kind} is no number, or too large")
        elif type(one) is not str:
            raise ValueError(f"{name} of {kind} is no text")


def read_job(record: Record, before: Job | None = None) -> Job:
    """Read a record of type ``JOB``; `before` is the same one as known so far."""
    value = record["value"]
    if record["intent"] == EXTENDED and before:
        return replace(before, locked=value.get("deadline"))
    backs_off = record["intent"] == "FAILED" and value.get("retryBackoff", 0) > 0
    return Job(
        key=JobKey(record["key"]),
        type=value["type"],
        instance=SagaKey(value["processInstanceKey"]),
        element=value["elementId"],
        element_instance=ElementKey(value["elementInstanceKey"]),
        last=record["intent"],
        # A diagram may say -1, and -1 stands for nothing.
        retries=value.get("retries", -1),
        at=record["timestamp"],
        error_code=value.get("errorCode", ""),
        error_message=value.get("errorMessage", ""),
        recurs=value.get("recurringTime") if backs_off else None,
    )


def read_element(record: Record, before: Element | None) -> Element:
    """Read a record of type ``PROCESS_INSTANCE``; `before` is the same one as known so far."""
    value, at = record["value"], record["timestamp"]
    return Element(
        key=ElementKey(record["key"]),
        id=value["elementId"],
        kind=value["bpmnElementType"],
        event=value.get("bpmnEventType", ""),
        instance=SagaKey(value["processInstanceKey"]),
        scope=ElementKey(value.get("flowScopeKey", -1)),
        last=record["intent"],
        began=before.began if before else at,
        order=record["position"],
        ended=at if record["intent"] in ENDED else None,
    )


def read_instance(record: Record, before: Instance | None) -> Instance:
    """Read the record of a process itself; `before` is the same instance as known so far."""
    value, at = record["value"], record["timestamp"]
    ended = at if record["intent"] in ENDED else None
    parent = value.get("parentProcessInstanceKey", -1)
    return Instance(
        key=SagaKey(record["key"]),
        # A migrated instance goes on in another process.
        process=value["bpmnProcessId"],
        version=value["version"],
        definition=value["processDefinitionKey"],
        last=record["intent"],
        began=before.began if before else at,
        parent=before.parent if before else SagaKey(parent) if parent > 0 else None,
        ended=before.ended if before and ended is None else ended,
    )


def read_business_key(record: Record) -> tuple[SagaKey, str] | None:
    """Return whose key a record of type ``VARIABLE`` tells, and which; None if it's another.

    A key that no database can hold is nobody's: no ledger takes it.
    """
    value = record["value"]
    is_roots = value["scopeKey"] == value["processInstanceKey"]
    if value["name"] != KEY_VARIABLE or not is_roots:
        return None
    try:
        key = json.loads(value["value"])
    except RecursionError:
        return None
    is_key = isinstance(key, str) and _can_be_kept(key)
    return (SagaKey(value["processInstanceKey"]), key) if is_key else None


def _can_be_kept(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def read_incident(record: Record) -> Incident:
    """Read a record of type ``INCIDENT``."""
    value = record["value"]
    job = value.get("jobKey", -1)
    return Incident(
        key=record["key"],
        instance=SagaKey(value["processInstanceKey"]),
        element=value.get("elementId", ""),
        element_instance=ElementKey(value.get("elementInstanceKey", -1)),
        kind=value.get("errorType", ""),
        message=value.get("errorMessage", ""),
        job=JobKey(job) if job > 0 else None,
        resolved=record["intent"] == "RESOLVED",
    )


def read_undoing(record: Record) -> Undoing:
    """Read a record of type ``COMPENSATION_SUBSCRIPTION``."""
    value = record["value"]
    handler = value.get("compensationHandlerInstanceKey", -1)
    return Undoing(
        key=record["key"],
        instance=SagaKey(value["processInstanceKey"]),
        element=value["compensableActivityId"],
        element_instance=ElementKey(value["compensableActivityInstanceKey"]),
        handler=value.get("compensationHandlerId", ""),
        last=record["intent"],
        handler_instance=ElementKey(handler) if handler > 0 else None,
        thrown_by=value.get("throwEventId") or None,
    )
