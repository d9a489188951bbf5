"""Nine orders on a real engine: the records that history keeps of them, as the engine wrote them.

Made by one run on the embedded engine 8.8.21: shipped, sold-out, declined, no-carrier, nothing
(refused at the first step), overdue (the timer took the payment away), waiting (for the holder's
approval), cancelled (by an operator) and stuck (a deadline that is none). The diagram's text is put
in where they are read.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sagaworks.history import MemoryHistory

ROOT = Path(__file__).parents[2]
PLACE_ORDER = ROOT / "bpmn" / "place_order.bpmn"
RECORDS = Path(__file__).parent / "records" / "orders.jsonl"

KEYS = ("shipped", "sold-out", "declined", "no-carrier", "nothing")
KEYS += ("overdue", "waiting", "cancelled", "stuck")


def records() -> Iterator[dict[str, Any]]:
    """The records, in the engine's order."""
    for line in RECORDS.read_text().splitlines():
        record: dict[str, Any] = json.loads(line)
        if record["valueType"] == "PROCESS":
            record["value"]["resource"] = base64.b64encode(PLACE_ORDER.read_bytes()).decode()
        yield record


def history() -> MemoryHistory:
    """What they add up to."""
    found = MemoryHistory()
    for record in records():
        found.take(record)
    return found
