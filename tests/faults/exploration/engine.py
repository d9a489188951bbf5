"""What the engine does with place_order's diagram, simulated: tokens, jobs, locks, compensation.

It reads the diagram itself. It knows what that one needs: one token, refusals that start the error
event sub-process, compensation in the order drawn, a timer on a task. No clock runs here: a lock
ends, a pause is over, a timer fires when a schedule says so.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from grpc import StatusCode
from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.diagram import Diagram, Task

FIRST_KEY: Final = 2_251_799_813_685_249
"""Where a Zeebe partition's keys begin."""

_DEADLINE: Final = 4_102_444_800_000
"""Milliseconds; far away: only a schedule ends a lock."""


class JobState(StrEnum):
    """Where a job stands; the first four are there, the others gone."""

    WAITING = "waiting"
    HELD = "held"
    PAUSING = "pausing"
    INCIDENT = "incident"
    COMPLETED = "completed"
    THROWN = "error thrown"
    CANCELED = "canceled"


_THERE: Final = {JobState.WAITING, JobState.HELD, JobState.PAUSING, JobState.INCIDENT}


@dataclass(eq=False)
class Run:
    """One completed run of a task that has a handler."""

    task: Task
    element_instance: int
    undone: bool = False


@dataclass(eq=False)
class SimulatedInstance:
    """One process instance.

    Attributes:
        runs: what was completed and can be undone, in order.
        ended: the end event that was reached; "canceled" if somebody has; or nothing yet.
        throwing: the compensation throw event at which the token waits for its handlers.
    """

    key: int
    variables: dict[str, Any]
    runs: list[Run] = field(default_factory=list)
    jobs: list[SimulatedJob] = field(default_factory=list)
    undoing: bool = False
    throwing: str = ""
    ended: str = ""


@dataclass(eq=False)
class SimulatedJob:
    """One job.

    Attributes:
        undoes: the run that it undoes, for a handler's.
        given: how often it was handed out.
        failed_with: the retries of each failure that was taken, in order.
        says: why it is an incident.
    """

    key: int
    task: Task
    instance: SimulatedInstance
    element_instance: int
    retries: int
    undoes: Run | None = None
    state: JobState = JobState.WAITING
    given: int = 0
    failed_with: list[int] = field(default_factory=list)
    says: str = ""

    @property
    def is_there(self) -> bool:
        """Whether the engine still knows it."""
        return self.state in _THERE

    def __str__(self) -> str:
        """Tell it in one line."""
        return f"job {self.key} of {self.task.id}: {self.state} {self.says}".rstrip()


class SimulatedEngine:
    """Plays one diagram; called from the threads of all workers.

    Attributes:
        moment: held while anything changes.
        jobs: every job there was, by key.
    """

    def __init__(self, diagram: Diagram) -> None:
        """Have no instance yet."""
        self.diagram = diagram
        self.moment = threading.RLock()
        self.jobs: dict[int, SimulatedJob] = {}
        self.instances: dict[int, SimulatedInstance] = {}
        self._keys = itertools.count(FIRST_KEY)
        self._onward = {flow.source: flow.target for flow in diagram.flows}

    def start(self, variables: Mapping[str, Any]) -> SimulatedInstance:
        """Create an instance."""
        with self.moment:
            instance = SimulatedInstance(next(self._keys), dict(variables))
            self.instances[instance.key] = instance
            self._enter(instance, self._start_of(self.diagram.process_id))
            return instance

    def waiting(self, instance: SimulatedInstance) -> SimulatedJob | None:
        """Return a job that a worker could be given, or None."""
        with self.moment:
            waiting = [job for job in instance.jobs if job.state is JobState.WAITING]
            return waiting[0] if waiting else None

    def give(self, job: SimulatedJob, names: tuple[str, ...]) -> pb.ActivatedJob:
        """Hand a job out with the variables of these names, as a worker's stream does."""
        with self.moment:
            job.state, job.given = JobState.HELD, job.given + 1
            found = {name: job.instance.variables.get(name) for name in names}
            return pb.ActivatedJob(
                key=job.key,
                type=job.task.job_type,
                processInstanceKey=job.instance.key,
                bpmnProcessId=self.diagram.process_id,
                elementId=job.task.id,
                elementInstanceKey=job.element_instance,
                customHeaders="{}",
                retries=job.retries,
                deadline=_DEADLINE,
                variables=json.dumps({n: value for n, value in found.items() if value is not None}),
            )

    def complete(self, key: int, variables: str) -> StatusCode:
        """Complete a job, whoever asks: a lock that has ended fences nobody off (measured)."""
        with self.moment:
            job = self.jobs[key]
            if (code := _why_not(job)) is not None:
                return code
            job.state = JobState.COMPLETED
            job.instance.variables.update(json.loads(variables or "{}"))
            if job.undoes:
                job.undoes.undone = True
                self._throw_on(job.instance)
            else:
                if job.task.handler:
                    job.instance.runs.append(Run(job.task, job.element_instance))
                self._leave(job.instance, job.task.id)
            return StatusCode.OK

    def throw(self, key: int, code: str) -> StatusCode:
        """Throw a BPMN error: the error event sub-process takes any code, once."""
        with self.moment:
            job = self.jobs[key]
            if (why := _why_not(job)) is not None:
                return why
            if job.instance.undoing:
                job.state, job.says = JobState.INCIDENT, f"nothing catches {code}"
            else:
                job.state = JobState.THROWN
                self._undo(job.instance)
            return StatusCode.OK

    def fail(self, key: int, retries: int, message: str, pause: int) -> StatusCode:
        """Fail a job; without retries it becomes an incident."""
        with self.moment:
            job = self.jobs[key]
            if (code := _why_not(job)) is not None:
                return code
            job.retries = retries
            job.failed_with.append(retries)
            job.state = JobState.PAUSING if pause else JobState.WAITING
            if retries <= 0:
                job.state, job.says = JobState.INCIDENT, message
            return StatusCode.OK

    def touch(self, key: int) -> StatusCode:
        """Extend a job's lock: what tells a worker whether it's there."""
        with self.moment:
            job = self.jobs.get(key)
            if job is None or not job.is_there:
                return StatusCode.NOT_FOUND
            return StatusCode.OK if job.state is JobState.HELD else StatusCode.FAILED_PRECONDITION

    def end_lock(self, job: SimulatedJob) -> None:
        """Let a job's lock run out: it waits for the next worker."""
        with self.moment:
            if job.state is JobState.HELD:
                job.state = JobState.WAITING

    def end_pauses(self, instance: SimulatedInstance) -> bool:
        """Let every failed job come again; say whether there was one."""
        with self.moment:
            pausing = [job for job in instance.jobs if job.state is JobState.PAUSING]
            for job in pausing:
                job.state = JobState.WAITING
            return bool(pausing)

    def fire(self, instance: SimulatedInstance, boundary: str) -> None:
        """Let the timer on a task fire, if its job is still there."""
        with self.moment:
            task = self.diagram.elements[boundary].attached_to
            if any(job.is_there and job.task.id == task for job in instance.jobs):
                self._take_away(instance)
                self._leave(instance, boundary)

    def replace(self, job: SimulatedJob, *, by_older: bool = False) -> SimulatedJob:
        """Take a job away and put the token on its task anew, as an operator may: other keys.

        A restored engine's keys repeat, so the new one may be the smaller: `by_older`.
        """
        with self.moment:
            job.state = JobState.CANCELED
            key = FIRST_KEY - 1 - len(self.jobs) if by_older else None
            return self._offer(job.instance, job.task, job.undoes, key)

    def go_back(self, instance: SimulatedInstance, to: str) -> None:
        """Move the token out of the undoing back to a task, as an operator may."""
        with self.moment:
            self._take_away(instance)
            instance.undoing, instance.throwing = False, ""
            self._enter(instance, to)

    def cancel(self, instance: SimulatedInstance) -> None:
        """End an instance as an operator does: nothing is compensated."""
        with self.moment:
            self._take_away(instance)
            instance.ended = "canceled"

    def _enter(self, instance: SimulatedInstance, at: str) -> None:
        element = self.diagram.elements[at]
        if isinstance(element, Task):
            self._offer(instance, element)
        elif at in self.diagram.throws:
            instance.throwing = at
            for run in self._to_undo(instance, self.diagram.throws[at]):
                handler = self.diagram.tasks[str(run.task.handler)]
                self._offer(instance, handler, run)
            self._throw_on(instance)
        elif element.kind == "endEvent" and element.event == "error":
            self._undo(instance)
        elif element.kind == "endEvent":
            instance.ended = at
        else:
            self._leave(instance, at)

    def _leave(self, instance: SimulatedInstance, at: str) -> None:
        self._enter(instance, self._onward[at])

    def _undo(self, instance: SimulatedInstance) -> None:
        self._take_away(instance)
        instance.undoing = True
        [within] = self.diagram.event_sub_processes
        self._enter(instance, self._start_of(within))

    def _throw_on(self, instance: SimulatedInstance) -> None:
        """Leave the throw event once all its handlers have completed."""
        if not any(job.undoes and job.is_there for job in instance.jobs):
            self._leave(instance, instance.throwing)

    def _to_undo(self, instance: SimulatedInstance, activity: str) -> Iterator[Run]:
        return (run for run in instance.runs if run.task.id == activity and not run.undone)

    def _offer(
        self,
        instance: SimulatedInstance,
        task: Task,
        undoes: Run | None = None,
        key: int | None = None,
    ) -> SimulatedJob:
        key = key or next(self._keys)
        element_instance, retries = next(self._keys), int(task.retries)
        job = SimulatedJob(key, task, instance, element_instance, retries, undoes)
        self.jobs[key] = job
        instance.jobs.append(job)
        return job

    def _take_away(self, instance: SimulatedInstance) -> None:
        for job in instance.jobs:
            if job.is_there:
                job.state = JobState.CANCELED

    def _start_of(self, scope: str) -> str:
        elements = self.diagram.elements.values()
        [start] = [one.id for one in elements if one.scope == scope and one.kind == "startEvent"]
        return start


def _why_not(job: SimulatedJob) -> StatusCode | None:
    if not job.is_there:
        return StatusCode.NOT_FOUND
    unheld = job.state in (JobState.PAUSING, JobState.INCIDENT)
    return StatusCode.FAILED_PRECONDITION if unheld else None
