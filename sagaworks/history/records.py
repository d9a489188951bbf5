"""Zeebe's records as JSON, as the exporters and the test engine write them, read into values."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sagaworks.history.values import ENDED, Element, Incident, Instance, Job, Undoing
from sagaworks.saga import KEY_VARIABLE, ElementKey, JobKey, SagaKey

Record = Mapping[str, Any]
"""One record, parsed from JSON."""


def read_job(record: Record) -> Job:
    """Read a record of type ``JOB``."""
    value = record["value"]
    backs_off = record["intent"] == "FAILED" and value.get("retryBackoff", 0) > 0
    return Job(
        key=JobKey(record["key"]),
        type=value["type"],
        instance=SagaKey(value["processInstanceKey"]),
        element=value["elementId"],
        element_instance=ElementKey(value["elementInstanceKey"]),
        last=record["intent"],
        retries=value["retries"],
        at=record["timestamp"],
        error_code=value.get("errorCode", ""),
        error_message=value.get("errorMessage", ""),
        recurs=value.get("recurringTime") if backs_off else None,
    )


def read_element(record: Record, before: Element | None) -> Element:
    """Read a record of type ``PROCESS_INSTANCE``; `before` is the same one as known so far."""
    value, at = record["value"], record["timestamp"]
    fresh = Element(
        key=ElementKey(record["key"]),
        id=value["elementId"],
        kind=value["bpmnElementType"],
        event=value.get("bpmnEventType", ""),
        instance=SagaKey(value["processInstanceKey"]),
        scope=ElementKey(value["flowScopeKey"]),
        last=record["intent"],
        began=before.began if before else at,
        order=record["position"],
    )
    return replace(fresh, ended=at) if record["intent"] in ENDED else fresh


def read_instance(record: Record, before: Instance | None) -> Instance:
    """Read the record of a process itself; `before` is the same instance as known so far."""
    value, at = record["value"], record["timestamp"]
    parent = value.get("parentProcessInstanceKey", -1)
    fresh = before or Instance(
        key=SagaKey(record["key"]),
        process=value["bpmnProcessId"],
        version=value["version"],
        definition=value["processDefinitionKey"],
        last=record["intent"],
        began=at,
        parent=SagaKey(parent) if parent > 0 else None,
    )
    ended = at if record["intent"] in ENDED else fresh.ended
    return replace(fresh, last=record["intent"], ended=ended)


def read_business_key(record: Record) -> tuple[SagaKey, str] | None:
    """Return whose key a record of type ``VARIABLE`` tells, and which; None if it's another."""
    value = record["value"]
    is_roots = value["scopeKey"] == value["processInstanceKey"]
    if value["name"] != KEY_VARIABLE or not is_roots:
        return None
    key = json.loads(value["value"])
    return (SagaKey(value["processInstanceKey"]), key) if isinstance(key, str) else None


def read_incident(record: Record) -> Incident:
    """Read a record of type ``INCIDENT``."""
    value = record["value"]
    job = value.get("jobKey", -1)
    return Incident(
        key=record["key"],
        instance=SagaKey(value["processInstanceKey"]),
        element=value["elementId"],
        element_instance=ElementKey(value["elementInstanceKey"]),
        kind=value["errorType"],
        message=value["errorMessage"],
        job=JobKey(job) if job > 0 else None,
        resolved=record["intent"] == "RESOLVED",
    )


def read_undoing(record: Record) -> Undoing:
    """Read a record of type ``COMPENSATION_SUBSCRIPTION``."""
    value = record["value"]
    handler = value["compensationHandlerInstanceKey"]
    return Undoing(
        key=record["key"],
        instance=SagaKey(value["processInstanceKey"]),
        element=value["compensableActivityId"],
        element_instance=ElementKey(value["compensableActivityInstanceKey"]),
        handler=value["compensationHandlerId"],
        last=record["intent"],
        handler_instance=ElementKey(handler) if handler > 0 else None,
        thrown_by=value["throwEventId"] or None,
    )
