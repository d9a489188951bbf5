"""Records of real runs on the embedded engine 8.8.21, cut down to what the coverage reads.

- `shipped`, `no_carrier`, `overdue`, `refused_late`: place_order, one saga each; `refused_late` by
  an answer that no code of ours gives, a refusal of confirm_order.
- `nested`: nested.bpmn, whose last step refuses.

The diagram's text isn't in them: it is put in where they are read.
"""

import base64
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RECORDS = Path(__file__).parent / "records"
PLACE_ORDER = ROOT / "bpmn" / "place_order.bpmn"
NESTED = RECORDS / "nested.bpmn"

Records = list[dict[str, Any]]


def records_of(run: str, diagram: Path = PLACE_ORDER) -> Records:
    """The records of one run, as an engine gives them that was given this diagram."""
    lines = (RECORDS / f"{run}.jsonl").read_text().splitlines()
    records: Records = [json.loads(line) for line in lines]
    for record in records:
        if record["valueType"] == "PROCESS":
            record["value"]["resource"] = base64.b64encode(diagram.read_bytes()).decode()
    return records
