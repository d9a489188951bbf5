"""The port to the engine's history, whatever keeps it."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from sagaworks.errors import SagaworksError
from sagaworks.history.values import DueJob, Element, Incident, Instance, Job, Undoing
from sagaworks.saga import ElementKey, JobKey, SagaKey


class HistoryUnavailable(SagaworksError):
    """History can't be asked now: nothing is known, and nothing may be concluded."""


@runtime_checkable
class AnswersMany(Protocol):
    """What some histories can beside: answer for many instances in one go."""

    def instances_of(self, keys: Sequence[SagaKey]) -> Mapping[SagaKey, Instance]:
        """Return those of the process instances that are known, by their keys."""


@runtime_checkable
class TellsWhatIsDue(Protocol):
    """What some histories can beside: tell which jobs come again by themselves, and when."""

    def due_jobs(self) -> Sequence[DueJob]:
        """Return jobs whose last record says so, 1000 at most, by their keys."""


@runtime_checkable
class MissesRecords(Protocol):
    """What a history says that keeps records aside which it can't read: docs/decisions/0073."""

    def unread(self, keys: Sequence[SagaKey]) -> Mapping[SagaKey, str]:
        """Return why nothing may be concluded from what isn't told of a process instance.

        For those of which a record came that can't be read, or may have come.
        """


@runtime_checkable
class TellsAtOnce(AnswersMany, MissesRecords, Protocol):
    """What some histories can beside: answer both questions in one go."""

    def told(
        self, keys: Sequence[SagaKey]
    ) -> tuple[Mapping[SagaKey, Instance], Mapping[SagaKey, str]]:
        """Return what `instances_of` does, and what `unread` does as of then."""


@runtime_checkable
class TellsHowFar(Protocol):
    """What some histories can beside: tell how far they have come."""

    def seen_until(self, key: SagaKey) -> int:
        """Return when the latest record was written that was seen of the key's partition.

        In the engine's milliseconds; 0 where none was.
        """


class History(Protocol):
    """What the engine has recorded in its present life.

    None, or an empty answer, says that no record was seen. It proves nothing: the record may be
    on its way, or be of an earlier life. What the engine did before the copy was made that it was
    restored from holds in its new life too.

    Raises:
        HistoryUnavailable: of every question, where the answer is kept elsewhere.
    """

    def life(self) -> int:
        """Return the number of the engine's present life, from 1: it grows when it was restored."""

    def job(self, key: JobKey) -> Job | None:
        """Return a job as its last record has it."""

    def instance(self, key: SagaKey) -> Instance | None:
        """Return a process instance."""

    def instances(self, business_key: str) -> Sequence[Instance]:
        """Return every process instance with this business key, first one first."""

    def jobs(self, instance: SagaKey) -> Sequence[Job]:
        """Return the jobs of a process instance, first created first."""

    def elements(self, instance: SagaKey) -> Sequence[Element]:
        """Return element instances and flows taken, in the order of their last records."""

    def incidents(self, instance: SagaKey) -> Sequence[Incident]:
        """Return a process instance's incidents, those resolved too."""

    def undoings(self, instance: SagaKey) -> Sequence[Undoing]:
        """Return a process instance's compensation subscriptions."""

    def undone_by(self, handler_instance: ElementKey) -> Undoing | None:
        """Return what a compensation job undoes, by the job's element instance."""

    def diagram(self, instance: SagaKey) -> bytes | None:
        """Return the BPMN XML, as it was deployed, of a process instance's definition."""


def unread_of(history: History, keys: Sequence[SagaKey]) -> Mapping[SagaKey, str]:
    """Return of which process instances records may be missing, and why; see `MissesRecords`.

    It's asked after all else that a conclusion rests on: what came in between is told then.

    Raises:
        HistoryUnavailable: as each question of `History`.
    """
    return history.unread(keys) if isinstance(history, MissesRecords) else {}


def instances_of(history: History, keys: Sequence[SagaKey]) -> Mapping[SagaKey, Instance]:
    """Return those of the process instances that are known, in one question where that can be.

    Raises:
        HistoryUnavailable: as each question of `History`.
    """
    if isinstance(history, AnswersMany):
        return history.instances_of(keys)
    found = {key: history.instance(key) for key in keys}
    return {key: one for key, one in found.items() if one is not None}
