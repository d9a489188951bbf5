"""What a test sees of its engine: records as they come, and conditions on them to be awaited."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from sagaworks.errors import EngineError
from sagaworks.history import MemoryHistory
from sagaworks.testing.agenda import Agenda

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagaworks.codec import Json
    from sagaworks.history.records import Record
    from sagaworks.saga import SagaKey

Found = TypeVar("Found")


class Feed:
    """Takes the records of one test's engine, on any thread.

    Attributes:
        history: the port that the reconciler uses too.
        agenda: what the engine will do by itself.
        diagrams: the XML that the engine has, by process id: the newest version's.
        records: every record as it came, if they are to be kept.
    """

    def __init__(self, *, keeps_records: bool = False) -> None:
        """Nothing has happened."""
        self.records: list[Record] = []
        self._keeps_records = keeps_records
        self.history = MemoryHistory()
        self.agenda = Agenda()
        self.diagrams: dict[str, str] = {}
        self._variables: dict[int, dict[str, Json]] = {}
        self._streams: Counter[str] = Counter()
        self._clock = 0
        self._changes = 0
        self._changed = threading.Condition()
        self._why_broken: Callable[[], str] | None = None

    def take(self, record: Record) -> None:
        """Take one record, and wake who waits."""
        with self._changed:
            if self.history.take(record) and record["recordType"] == "EVENT":
                self.agenda.take(record)
                self._keep(record)
                if self._keeps_records:
                    self.records.append(record)
                self._changes += record["valueType"] != "JOB_BATCH"
            self._changed.notify_all()

    def take_stream(self, job_type: str) -> None:
        """Note that a worker has opened a stream for jobs of this type."""
        with self._changed:
            self._streams[job_type] += 1
            self._changed.notify_all()

    def wake(self) -> None:
        """Let those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def break_off(self, why: Callable[[], str]) -> None:
        """No more records come: whoever waits gets `why` as an error."""
        with self._changed:
            self._why_broken = why
            self._changed.notify_all()

    def variables(self, scope: SagaKey) -> dict[str, Json]:
        """Return the variables of a scope, as they are now."""
        with self._changed:
            return dict(self._variables.get(scope, {}))

    def streams(self) -> Counter[str]:
        """Return how many streams were opened for each job type."""
        with self._changed:
            return Counter(self._streams)

    def clock(self) -> int:
        """Return the newest time that a record has, in the engine's milliseconds."""
        return self._clock

    def changes(self) -> int:
        """Return a number that grows whenever something happens."""
        return self._changes

    def wait_for(self, condition: Callable[[], Found], within: float) -> Found:
        """Return what `condition` gives as soon as it's true, or false after `within` seconds.

        It is asked after each record, with the feed's lock held: it may look, not wait.

        Raises:
            EngineError: the engine is gone.
        """
        until = time.monotonic() + within
        with self._changed:
            while not (found := condition()):
                if self._why_broken:
                    raise EngineError(self._why_broken())
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
        return found

    def wait_for_quiet(self, quiet: float, within: float) -> bool:
        """Wait until nothing has happened for `quiet` seconds; False if that didn't come."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            seen = self._changes
            if not self.wait_for(lambda seen=seen: self._changes != seen, quiet):  # type: ignore[misc]
                return True
        return False

    def _keep(self, record: Record) -> None:
        self._clock = max(self._clock, record["timestamp"])
        value: Any = record["value"]
        if record["valueType"] == "VARIABLE" and record["intent"] in ("CREATED", "UPDATED"):
            scope = self._variables.setdefault(value["scopeKey"], {})
            scope[value["name"]] = json.loads(value["value"])
        elif record["valueType"] == "PROCESS" and record["intent"] == "CREATED":
            self.diagrams[value["bpmnProcessId"]] = b64decode(value["resource"]).decode()
