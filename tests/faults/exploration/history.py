"""What the simulated engine has recorded, as `sagaworks.history.History` tells it; at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sagaworks.history.values import Element, Incident, Instance, Job, Undoing
from sagaworks.saga import ElementKey, JobKey, SagaKey
from tests.faults.exploration.engine import (
    JobState,
    Run,
    SimulatedEngine,
    SimulatedInstance,
    SimulatedJob,
)

_LAST: Final = {
    JobState.WAITING: "CREATED",
    JobState.HELD: "CREATED",
    JobState.PAUSING: "FAILED",
    JobState.INCIDENT: "FAILED",
    JobState.COMPLETED: "COMPLETED",
    JobState.THROWN: "ERROR_THROWN",
    JobState.CANCELED: "CANCELED",
}

_OF_ITS_ELEMENT: Final = {"COMPLETED": "ELEMENT_COMPLETED", "CREATED": "ELEMENT_ACTIVATED"}

CANCELED: Final = "canceled"
"""How an instance ends that somebody has cancelled."""


class SimulatedHistory:
    """The history of one simulated engine, in its present life."""

    def __init__(self, engine: SimulatedEngine) -> None:
        """Look at an engine."""
        self._engine = engine

    def life(self) -> int:
        """See `History`."""
        return 1

    def job(self, key: JobKey) -> Job | None:
        """See `History`."""
        found = self._engine.jobs.get(key)
        return _job(found) if found else None

    def instance(self, key: SagaKey) -> Instance | None:
        """See `History`."""
        found = self._engine.instances.get(key)
        return _instance(found, self._engine.diagram.process_id) if found else None

    def instances(self, business_key: str) -> Sequence[Instance]:
        """See `History`."""
        known = (self.instance(SagaKey(key)) for key in self._engine.instances)
        return [one for one in known if one and one.business_key == business_key]

    def jobs(self, instance: SagaKey) -> Sequence[Job]:
        """See `History`."""
        return [_job(job) for job in self._engine.jobs.values() if job.instance.key == instance]

    def elements(self, instance: SagaKey) -> Sequence[Element]:
        """See `History`: the tasks only."""
        return [_element(job) for job in self._engine.jobs.values() if job.instance.key == instance]

    def incidents(self, instance: SagaKey) -> Sequence[Incident]:
        """See `History`."""
        return []

    def undoings(self, instance: SagaKey) -> Sequence[Undoing]:
        """See `History`."""
        found = self._engine.instances.get(instance)
        return [_undoing(found, run) for run in found.runs] if found else []

    def undone_by(self, handler_instance: ElementKey) -> Undoing | None:
        """See `History`."""
        for key in self._engine.instances:
            for undoing in self.undoings(SagaKey(key)):
                if undoing.handler_instance == handler_instance:
                    return undoing
        return None

    def diagram(self, instance: SagaKey) -> bytes | None:
        """See `History`."""
        return self._engine.diagram.path.read_bytes()


def _instance(one: SimulatedInstance, process_id: str) -> Instance:
    last = "ELEMENT_COMPLETED" if one.ended else "ELEMENT_ACTIVATED"
    if one.ended == CANCELED:
        last = "ELEMENT_TERMINATED"
    key = str(one.variables["saga_key"])
    return Instance(SagaKey(one.key), process_id, 1, 1, last, began=0, business_key=key)


def _job(one: SimulatedJob) -> Job:
    return Job(
        key=JobKey(one.key),
        type=one.task.job_type,
        instance=SagaKey(one.instance.key),
        element=one.task.id,
        element_instance=ElementKey(one.element_instance),
        last=_LAST[one.state],
        retries=one.retries,
        at=0,
        error_message=one.says,
    )


def _element(one: SimulatedJob) -> Element:
    return Element(
        key=ElementKey(one.element_instance),
        id=one.task.id,
        kind="SERVICE_TASK",
        event="",
        instance=SagaKey(one.instance.key),
        scope=ElementKey(one.instance.key),
        last=_OF_ITS_ELEMENT.get(_LAST[one.state], "ELEMENT_TERMINATED"),
        began=0,
        order=one.element_instance,
    )


def _undoing(instance: SimulatedInstance, run: Run) -> Undoing:
    handlers = [job for job in instance.jobs if job.undoes is run]
    last = "CREATED" if not handlers else "COMPLETED" if run.undone else "TRIGGERED"
    return Undoing(
        key=run.element_instance,
        instance=SagaKey(instance.key),
        element=run.task.id,
        element_instance=ElementKey(run.element_instance),
        handler=str(run.task.handler),
        last=last,
        handler_instance=ElementKey(handlers[-1].element_instance) if handlers else None,
    )
