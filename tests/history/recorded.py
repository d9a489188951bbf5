"""Records as Zeebe's exporter writes them, less what isn't read."""

import json
from base64 import b64encode
from collections.abc import Iterable

ORDER, OTHER = 2251799813685250, 2251799813685300
"""Two sagas of partition 1, by their process instances."""

DEFINITION = 2251799813685249
XML = b"<definitions/>"


def record(position: int, value_type: str, intent: str, key: int, **value: object) -> dict:
    """Of the saga ORDER, in partition 1, if nothing else is said."""
    return {
        "partitionId": 1,
        "position": position,
        "timestamp": 1000 + position,
        "recordType": "EVENT",
        "valueType": value_type,
        "intent": intent,
        "key": key,
        "value": {"processInstanceKey": ORDER, **value},
    }


def job(position: int, intent: str, key: int = 7, **more: object) -> dict:
    about = {"type": "shop.sell", "elementId": "sell", "elementInstanceKey": 2, "retries": 3}
    return record(position, "JOB", intent, key, **{**about, **more})


def process(position: int, intent: str, instance: int = ORDER, **more: object) -> dict:
    about = {
        "bpmnProcessId": "place_order",
        "version": 1,
        "processDefinitionKey": DEFINITION,
        "elementId": "place_order",
        "bpmnElementType": "PROCESS",
        "bpmnEventType": "UNSPECIFIED",
        "flowScopeKey": -1,
        "parentProcessInstanceKey": -1,
        "processInstanceKey": instance,
    }
    return record(position, "PROCESS_INSTANCE", intent, instance, **{**about, **more})


def element(position: int, intent: str, key: int, id_: str, **more: object) -> dict:
    about = {
        "elementId": id_,
        "bpmnElementType": "SERVICE_TASK",
        "bpmnEventType": "UNSPECIFIED",
        "flowScopeKey": ORDER,
    }
    return record(position, "PROCESS_INSTANCE", intent, key, **{**about, **more})


def variable(position: int, name: str, value: object, **more: object) -> dict:
    about = {"name": name, "value": json.dumps(value), "scopeKey": ORDER}
    return record(position, "VARIABLE", "CREATED", 1000 + position, **{**about, **more})


def incident(position: int, intent: str, key: int = 90, **more: object) -> dict:
    about = {
        "elementId": "sell",
        "elementInstanceKey": 2,
        "jobKey": 7,
        "errorType": "JOB_NO_RETRIES",
        "errorMessage": "the carrier is closed",
    }
    return record(position, "INCIDENT", intent, key, **{**about, **more})


def undoing(position: int, intent: str, key: int = 80, **more: object) -> dict:
    about = {
        "compensableActivityId": "hold",
        "compensableActivityInstanceKey": 20,
        "compensationHandlerId": "release",
        "compensationHandlerInstanceKey": -1,
        "throwEventId": "",
        "variables": {"card": "4111"},
    }
    return record(position, "COMPENSATION_SUBSCRIPTION", intent, key, **{**about, **more})


def deployed(position: int, xml: bytes = XML) -> dict:
    about = {
        "bpmnProcessId": "place_order",
        "version": 1,
        "processDefinitionKey": DEFINITION,
        "resource": b64encode(xml).decode(),
    }
    return record(position, "PROCESS", "CREATED", DEFINITION, **about)


def later(one: dict, millis: int = 1_000_000) -> dict:
    """The same as written by an engine that was put back: at the same position, another time."""
    return {**one, "timestamp": one["timestamp"] + millis}


def in_partition(number: int, one: dict) -> dict:
    return {**one, "partitionId": number}


def bulk(records: Iterable[dict]) -> bytes:
    """What the exporter sends."""
    action = json.dumps({"index": {"_index": "zeebe-record_job_8.6.0", "_id": "1-1"}})
    return "".join(f"{action}\n{json.dumps(one)}\n" for one in records).encode()
