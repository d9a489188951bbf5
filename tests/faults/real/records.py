"""What the engine has written down: its jobs, its sagas' ends, its incidents."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

KINDS: Final = ("job", "processInstance", "incident")


@dataclass(slots=True)
class Job:
    """A job as the engine knows it.

    Attributes:
        life: each event with its time, in ms of the engine's clock, and the retries it left.
    """

    key: int
    type: str
    instance: int
    life: list[tuple[str, int, int]] = field(default_factory=list)

    def had(self, event: str) -> int:
        """How often it had this event."""
        return sum(each == event for each, _, _ in self.life)

    @property
    def burnt(self) -> int:
        """How many retries it has lost."""
        return self.life[0][2] - min(retries for _, _, retries in self.life)


class Records:
    """Takes the engine's records, on any thread; those that come again are dropped."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self._of: defaultdict[int, list[Job]] = defaultdict(list)
        self.ends: dict[int, str] = {}
        self.at_end: dict[int, str] = {}
        self.incidents: list[dict[str, Any]] = []
        self.completed: list[tuple[int, float]] = []
        self._last: Counter[int] = Counter()
        self._changed = threading.Condition()

    def take(self, record: dict[str, Any]) -> None:
        """Take one record and wake who waits."""
        with self._changed:
            if record["recordType"] != "EVENT" or self._is_known(record):
                return
            kind, value = record["valueType"], record["value"]
            if kind == "JOB":
                self._take_job(record, value)
            elif kind == "INCIDENT" and record["intent"] == "CREATED":
                self.incidents.append(value)
            elif kind == "PROCESS_INSTANCE":
                self._take_instance(record["intent"], value)
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool], within: float) -> bool:
        """Wait for a condition; say whether it came about within so many seconds."""
        with self._changed:
            return self._changed.wait_for(condition, within)

    def of(self, instance: int) -> list[Job]:
        """The jobs of a saga."""
        with self._changed:
            return [*self._of[instance]]

    def first_completed_after(self, moment: float, within: float) -> float | None:
        """Wait for the first job completed after a moment; return its time (s since the epoch)."""

        def found() -> list[float]:
            return [at for _, at in self.completed if at >= moment]

        self.wait_for(lambda: bool(found()), within)
        return min(found(), default=None)

    def _is_known(self, record: dict[str, Any]) -> bool:
        """Say whether it came before: a restarted engine sends again what wasn't acknowledged."""
        partition, position = record["partitionId"], record["position"]
        if position <= self._last[partition]:
            return True
        self._last[partition] = position
        return False

    def _take_job(self, record: dict[str, Any], value: dict[str, Any]) -> None:
        key = record["key"]
        job = self.jobs.get(key)
        if job is None:
            job = self.jobs[key] = Job(key, value["type"], value["processInstanceKey"])
            self._of[job.instance].append(job)
        job.life.append((record["intent"], record["timestamp"], value["retries"]))
        if record["intent"] == "COMPLETED":
            self.completed.append((key, record["timestamp"] / 1000))

    def _take_instance(self, intent: str, value: dict[str, Any]) -> None:
        instance = value["processInstanceKey"]
        if value["bpmnElementType"] == "END_EVENT" and intent == "ELEMENT_COMPLETED":
            self.at_end[instance] = value["elementId"]
        if value["bpmnElementType"] == "PROCESS" and intent in (
            "ELEMENT_COMPLETED",
            "ELEMENT_TERMINATED",
        ):
            self.ends[instance] = intent


def eventually(
    condition: Callable[[], object], within: float, what: str | Callable[[], str]
) -> None:
    """Wait for a condition that nobody signals; `what` says what it is, or what there is."""
    until = time.monotonic() + within
    while not condition():
        if time.monotonic() > until:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {within:.0f} s: {told}")
        time.sleep(0.02)
