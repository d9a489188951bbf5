"""What the engine will do by itself when its clock gets there: timers, back-offs, locks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from sagaworks.history.records import Record

Kind = Literal["timer", "back-off", "lock", "message"]

JOB_IS_OVER: Final = frozenset({"COMPLETED", "CANCELED", "ERROR_THROWN", "MIGRATED"})
"""What is last said of a job that nobody is asked to do any more."""

_TO_BE_HAD: Final = frozenset(
    {"CREATED", "TIMED_OUT", "YIELDED", "RECURRED_AFTER_BACKOFF", "RETRIES_UPDATED"}
)
_LOCK_ENDS: Final = JOB_IS_OVER | {"FAILED", "TIMED_OUT", "YIELDED"}


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """One thing that is due.

    Attributes:
        at: milliseconds of the engine's clock.
        key: the timer's, the job's or the message's.
        element: where in the diagram; a job's type where it is about a job.
        instance: the process instance; 0 for a message.
    """

    at: int
    kind: Kind
    key: int
    element: str
    instance: int

    def __str__(self) -> str:
        """Name it."""
        return f"{self.kind} {self.element}"


class Agenda:
    """Kept from the engine's records, in their order."""

    def __init__(self) -> None:
        """Nothing is due."""
        self._due: dict[tuple[Kind, int], Due] = {}
        self._offered: dict[int, str] = {}

    def take(self, record: Record) -> None:
        """Note what has been set, and cross out what has happened."""
        match record["valueType"]:
            case "TIMER":
                self._take_timer(record)
            case "JOB":
                self._take_job(record)
            case "JOB_BATCH":
                self._take_activated(record)
            case "MESSAGE":
                self._take_message(record)

    def all(self) -> list[Due]:
        """Return what is due, first things first."""
        return sorted(self._due.values())

    def has(self, due: Due) -> bool:
        """Tell whether this very thing is still to come."""
        return self._due.get((due.kind, due.key)) == due

    def jobs_in_hand(self) -> set[int]:
        """Return the keys of the jobs that workers have taken."""
        return {due.key for due in self.all() if due.kind == "lock"}

    def jobs_offered(self, job_types: Container[str]) -> set[int]:
        """Return the keys of the jobs of these types that wait for a worker."""
        return {key for key, type_ in self._offered.items() if type_ in job_types}

    def _take_timer(self, record: Record) -> None:
        value, key = record["value"], record["key"]
        if record["intent"] == "CREATED":
            self._set(Due(value["dueDate"], "timer", key, *_place(value, "targetElementId")))
        elif record["intent"] in ("TRIGGERED", "CANCELED"):
            self._drop("timer", key)

    def _take_job(self, record: Record) -> None:
        value, key, intent = record["value"], record["key"], record["intent"]
        self._take_offer(record)
        if intent in _LOCK_ENDS:
            self._drop("lock", key)
        if intent in JOB_IS_OVER or intent == "RECURRED_AFTER_BACKOFF":
            self._drop("back-off", key)
        if intent == "TIMEOUT_UPDATED" and ("lock", key) in self._due:
            self._set(Due(value["deadline"], "lock", key, *_place(value, "type")))
        elif intent == "FAILED" and value["retries"] > 0 and value.get("retryBackoff", 0) > 0:
            self._set(Due(value["recurringTime"], "back-off", key, *_place(value, "type")))

    def _take_offer(self, record: Record) -> None:
        """A job that failed is offered at once, unless it waits for its back-off or a person."""
        value, key, intent = record["value"], record["key"], record["intent"]
        failed = intent == "FAILED" and value["retries"] > 0 and not value.get("retryBackoff")
        is_offered = failed or (intent in _TO_BE_HAD and value["retries"] > 0)
        rest = {other: type_ for other, type_ in self._offered.items() if other != key}
        if is_offered:
            self._offered = {**rest, key: value["type"]}
        elif intent in _LOCK_ENDS:
            self._offered = rest

    def _take_activated(self, record: Record) -> None:
        value = record["value"]
        taken = set(value["jobKeys"])
        self._offered = {key: type_ for key, type_ in self._offered.items() if key not in taken}
        for key, job in zip(value["jobKeys"], value["jobs"], strict=True):
            self._set(Due(job["deadline"], "lock", key, *_place(job, "type")))

    def _take_message(self, record: Record) -> None:
        value, key = record["value"], record["key"]
        if record["intent"] == "PUBLISHED" and value.get("timeToLive", 0) > 0:
            self._set(Due(value["deadline"], "message", key, value["name"], 0))
        elif record["intent"] == "EXPIRED":
            self._drop("message", key)

    def _set(self, due: Due) -> None:
        self._due = {**self._due, (due.kind, due.key): due}

    def _drop(self, kind: Kind, key: int) -> None:
        self._due = {place: due for place, due in self._due.items() if place != (kind, key)}


def _place(value: Record, name: str) -> tuple[str, int]:
    return value[name], value["processInstanceKey"]


def describe(dues: Iterable[Due], now: int) -> Iterator[str]:
    """Say of each thing what it is, and in how long it's due."""
    for due in dues:
        left = timedelta(seconds=max(0, round((due.at - now) / 1000)))
        yield f"{due} in {left}"
