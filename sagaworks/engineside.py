"""The engine's side of a saga, from its history: shown beside what the services' ledgers tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sagaworks.diagram import read_diagram
from sagaworks.errors import ContractError
from sagaworks.history import Known
from sagaworks.picture.way import WORST_FIRST, Way, read_way

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagaworks.diagram import Diagram
    from sagaworks.history import History, Incident, Instance, Job, Undoing
    from sagaworks.picture.paint import State
    from sagaworks.saga import JobKey

_WORDS: Final[Mapping[str, str]] = {
    "CREATED": "waits for a worker",
    "COMPLETED": "completed",
    "CANCELED": "cancelled",
    "ERROR_THROWN": "error thrown",
    "TIMED_OUT": "its lock ran out",
    "RECURRED_AFTER_BACKOFF": "waits for a worker again",
}
_ENDED: Final = frozenset({"COMPLETED", "CANCELED", "ERROR_THROWN"})


@dataclass(frozen=True, slots=True)
class EngineSide:
    """What the engine has recorded of one saga.

    Attributes:
        ways: what each process instance with its key went through, oldest first.
        jobs: all of them, by key.
        undoings: what a compensation job undoes, by the job's key.
        incidents: those that are open.
    """

    ways: tuple[Way, ...]
    jobs: Mapping[JobKey, Job]
    undoings: Mapping[JobKey, Undoing]
    incidents: tuple[Incident, ...]

    @property
    def elements(self) -> dict[str, State]:
        """The state of each element that the newest instance has reached, by its id."""
        states: dict[str, State] = {}
        for run in self.ways[-1].runs:
            before = states.get(run.element, run.state)
            states[run.element] = min(before, run.state, key=WORST_FIRST.index)
        return states

    @property
    def waiting(self) -> tuple[Job, ...]:
        """Jobs that are still to be done."""
        return tuple(job for job in self.jobs.values() if job.last not in _ENDED)

    def said_of(self, entry: Mapping[str, Any]) -> str | None:
        """Return the engine's last word on the job of a ledger's entry; None: it has none."""
        job = self._job_of(entry)
        return job.last if job else None

    def in_words(self, entry: Mapping[str, Any]) -> str:
        """Return it for people; for an undo also what threw it."""
        job = self._job_of(entry)
        if job is None:
            return "" if entry["event"] in ("started", "intended") else "not recorded"
        undoing = self.undoings.get(job.key)
        thrown = f", thrown by {undoing.thrown_by}" if undoing and undoing.thrown_by else ""
        return told_of(job) + thrown

    def lines(self) -> Iterator[str]:
        """Tell in lines what no ledger knows: how it stands, what it waits for, what is wrong."""
        for way in self.ways:
            key = way.instance.key
            yield f"engine: process instance {key} of {way.instance.process} is {way.fate}"
        for incident in self.incidents:
            yield f"incident at {incident.element}: {incident.kind}: {incident.message}"
        for job in self.waiting:
            yield f"to be done: {job.element} ({job.type}): {told_of(job)}"

    def as_plain(self) -> dict[str, object]:
        """Return it JSON-ready."""
        return {
            "instances": [_plain(way) for way in self.ways],
            "elements": self.elements,
            "incidents": [
                {"element": one.element, "kind": one.kind, "message": one.message, "job": one.job}
                for one in self.incidents
            ],
            "waiting": [
                {"element": one.element, "job": one.key, "last": one.last, "retries": one.retries}
                for one in self.waiting
            ],
        }

    def _job_of(self, entry: Mapping[str, Any]) -> Job | None:
        key = entry.get("undone_by") if entry["event"] == "undone" else entry.get("job")
        return self.jobs.get(key) if key else None


def read_engine_side(history: History, business_key: str) -> EngineSide | None:
    """Ask history for all of a saga; None if it doesn't know the key.

    Raises:
        HistoryUnavailable: it can't be asked.
    """
    known = [Known.of(history, one) for one in history.instances(business_key)]
    if not known:
        return None
    jobs = {job.key: job for one in known for job in one.jobs}
    handlers = {u.handler_instance: u for one in known for u in one.undoings if u.handler_instance}
    return EngineSide(
        tuple(read_way(one, _diagram(history, one.instance)) for one in known),
        jobs,
        {
            key: handlers[job.element_instance]
            for key, job in jobs.items()
            if job.element_instance in handlers
        },
        tuple(incident for one in known for incident in one.incidents if not incident.resolved),
    )


def told_of(job: Job) -> str:
    """Return a job's last record in words."""
    if job.last == "FAILED":
        return f"failed, {job.retries} retries left"
    code = f" {job.error_code}" if job.last == "ERROR_THROWN" and job.error_code else ""
    return _WORDS.get(job.last, job.last.lower().replace("_", " ")) + code


def _diagram(history: History, instance: Instance) -> Diagram | None:
    content = history.diagram(instance.key)
    if content is None:
        return None
    try:
        return read_diagram(Path(f"{instance.process}.bpmn"), content)
    except ContractError:
        return None  # another team's, drawn as we don't read it


def _plain(way: Way) -> dict[str, object]:
    one = way.instance
    return {
        "process_instance": one.key,
        "process": one.process,
        "version": one.version,
        "fate": way.fate,
        "began": one.began,
        "ended": one.ended,
    }
