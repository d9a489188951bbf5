"""Between slim records and their rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sagaworks.history import records
from sagaworks.history.values import ENDED
from sagaworks.saga import LONGEST_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagaworks.history.records import Record

_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def row_of(kept: Record, life: int) -> dict[str, object]:
    """Return the row of a record as `records.kept` left it."""
    value = kept["value"]
    is_instance = value.get("bpmnElementType") == "PROCESS"
    return {
        "partition": kept["partitionId"],
        "position": kept["position"],
        "life": life,
        "at": kept["timestamp"],
        "type": kept["valueType"],
        "intent": kept["intent"],
        "key": kept["key"],
        "instance": value.get("processInstanceKey"),
        "named": _named(kept),
        "business_key": _business_key(kept),
        "ends": True if is_instance and kept["intent"] in ENDED else None,
        "value": _encode(value),
    }


def record_of(row: Mapping[str, Any]) -> Record:
    """Return the record that the row keeps."""
    return {
        "partitionId": row["partition"],
        "position": row["position"],
        "timestamp": row["at"],
        "recordType": "EVENT",
        "valueType": row["type"],
        "intent": row["intent"],
        "key": row["key"],
        "value": json.loads(row["value"]),
    }


def _named(kept: Record) -> int | None:
    match kept["valueType"]:
        case "JOB" | "PROCESS":
            key: int = kept["key"]
            return key
        case "COMPENSATION_SUBSCRIPTION":
            handler: int | None = kept["value"].get("compensationHandlerInstanceKey")
            return handler
    return None


def _business_key(kept: Record) -> str | None:
    if kept["valueType"] != "VARIABLE":
        return None
    named = records.read_business_key(kept)
    # A longer one is nobody's: no ledger takes it.
    return named[1] if named and len(named[1]) <= LONGEST_KEY else None
