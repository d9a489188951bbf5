"""What history tells: plain values, in the engine's own words for what happened."""

from dataclasses import dataclass
from typing import Final

from sagaworks.saga import ElementKey, JobKey, SagaKey

ENDED: Final = frozenset({"ELEMENT_COMPLETED", "ELEMENT_TERMINATED"})
"""What is last said of an element instance that is no more."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A process instance.

    Attributes:
        process: its diagram's process id.
        business_key: the variable ``saga_key`` it began with; None if it has none, or none yet.
        parent: the instance that called it.
        last: the engine's last word, such as ``ELEMENT_COMPLETED`` or ``ELEMENT_TERMINATED``.
        began, ended: milliseconds of the engine's clock; `ended` is None while it runs.
    """

    key: SagaKey
    process: str
    version: int
    definition: int
    last: str
    began: int
    business_key: str | None = None
    parent: SagaKey | None = None
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job by its last record; the last one decides, and ``ERROR_THROWN`` needn't be final.

    Attributes:
        last: ``CREATED``, ``COMPLETED``, ``CANCELED``, ``ERROR_THROWN``, ``FAILED``, ``TIMED_OUT``…
        recurs: when a job that failed with a back-off comes again, in the engine's milliseconds.
        locked: until when somebody has it, where its lock was extended; else nobody tells.
        at: when the last record was written, in the engine's milliseconds.
    """

    key: JobKey
    type: str
    instance: SagaKey
    element: str
    element_instance: ElementKey
    last: str
    retries: int
    at: int
    error_code: str = ""
    error_message: str = ""
    recurs: int | None = None
    locked: int | None = None


@dataclass(frozen=True, slots=True)
class DueJob:
    """A job that comes again by itself: when its back-off, or its extended lock, is over.

    Attributes:
        due: when that is, in the engine's milliseconds.
        since: for how long history has seen the engine write after that, in milliseconds; 0 if it
            hasn't. It's the engine's time and not ours: what hasn't come yet was never late.
    """

    job: Job
    due: int
    since: int


@dataclass(frozen=True, slots=True)
class Element:
    """An element instance, or a sequence flow that was taken (`last` is ``SEQUENCE_FLOW_TAKEN``).

    Attributes:
        kind: the engine's type: ``SERVICE_TASK``, ``BOUNDARY_EVENT``, ``SEQUENCE_FLOW``…
        event: what an event is about: ``COMPENSATION``, ``TIMER``, ``ERROR``…
        scope: the flow scope it is in.
        order: grows with each record of a partition: who ended first has the smaller one.
    """

    key: ElementKey
    id: str
    kind: str
    event: str
    instance: SagaKey
    scope: ElementKey
    last: str
    began: int
    order: int
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """What a person must look at.

    Attributes:
        kind: the engine's error type, such as ``JOB_NO_RETRIES``.
        job: the job it is about, if it is about one.
    """

    key: int
    instance: SagaKey
    element: str
    element_instance: ElementKey
    kind: str
    message: str
    job: JobKey | None = None
    resolved: bool = False


@dataclass(frozen=True, slots=True)
class Undoing:
    """A compensation subscription: which handler undoes which element instance.

    Attributes:
        element, element_instance: what is, or would be, undone.
        handler: the id of the element that undoes it.
        handler_instance: whose job undoes it; None until compensation is thrown.
        thrown_by: the id of the event that threw it.
        last: ``CREATED``, ``TRIGGERED``, ``COMPLETED`` or ``DELETED``.
    """

    key: int
    instance: SagaKey
    element: str
    element_instance: ElementKey
    handler: str
    last: str
    handler_instance: ElementKey | None = None
    thrown_by: str | None = None
