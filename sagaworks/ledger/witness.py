"""What the ledger asks the engine's history, where its rows and the engine itself leave a doubt.

Asked with no lock held, in rare cases only. History is a moment behind the engine, so nothing is
concluded before it has seen the very job that asks.
"""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sagaworks.errors import Halt
from sagaworks.history.port import History, HistoryUnavailable, unread_of
from sagaworks.history.values import Job
from sagaworks.ledger.decide import Consult, Meant, Question
from sagaworks.ledger.rows import Arrival
from sagaworks.saga import JobKey, SagaKey, partition_of

_BEHIND: Final = 3.0
"""Seconds that history may be behind the engine; its exporter sends once a second."""

_PAUSE: Final = 0.1

_UNCAUGHT: Final = "UNHANDLED_ERROR_EVENT"


Answer = TypeVar("Answer")


def _is_of(job: Job, arrival: Arrival) -> bool:
    """Whether it's the arriving job: in a former life its key may have been another's."""
    return (job.instance, job.element, job.element_instance) == (
        arrival.process_instance,
        arrival.element,
        arrival.element_instance,
    )


class Witness:
    """Answers the ledger's questions from history.

    Args:
        history: the engine's.
        pause: waits so many seconds, where `aside` runs it.
        aside: runs what may block; at once by default.
    """

    def __init__(
        self,
        history: History,
        pause: Callable[[float], None] = time.sleep,
        aside: Callable[[Callable[[], Any]], Any] = lambda work: work(),
    ) -> None:
        """Ask nothing yet."""
        self._history = history
        self._pause = pause
        self._aside = aside

    def tells(self, asked: Consult, arrival: Arrival, noted: int | None = None) -> bool:
        """Answer a question about an arriving job, or about what its row names.

        Args:
            noted: when the instance had begun that was closed.

        Raises:
            HistoryUnavailable: it can't be asked, or hasn't seen the arriving job yet.
            Halt: a record of the saga came that it couldn't read.
        """
        return bool(
            self._aside(
                lambda: self._whole(
                    arrival, self._tells(asked, self._seen(arrival), arrival, noted)
                )
            )
        )

    def meant(self, arrival: Arrival, job_type: str) -> Meant | None:
        """Return what a compensation job undoes; None if history doesn't know.

        Raises:
            HistoryUnavailable, Halt: as `tells`.
        """
        found: Meant | None = self._aside(
            lambda: self._whole(arrival, self._meant(arrival, job_type))
        )
        return found

    def _whole(self, arrival: Arrival, answer: Answer) -> Answer:
        """Return an answer, unless a record that it should rest on may be missing.

        Raises:
            Halt: one may, and it never comes again.
        """
        key = arrival.process_instance
        if missing := unread_of(self._history, [key]).get(key):
            raise Halt(f"{missing}; what is to be done here can't be told: cancel the saga")
        return answer

    def _seen(self, arrival: Arrival) -> Job:
        left = _BEHIND
        while True:
            job = self._history.job(arrival.job)
            if job and _is_of(job, arrival):
                return job
            if left <= 0:
                raise HistoryUnavailable(f"history has no record of job {arrival.job} yet")
            self._pause(_PAUSE)
            left -= _PAUSE

    def _tells(self, asked: Consult, job: Job, arrival: Arrival, noted: int | None) -> bool:
        answers: dict[Question, Callable[[], bool]] = {
            Question.UNCAUGHT: lambda: self._was_uncaught(job),
            Question.RETURNED: lambda: self._came_by_flow(job) > 1,
            Question.TAKEN_AWAY: lambda: self._was_taken_away(JobKey(asked.about), job),
            Question.FORGOTTEN: lambda: self._is_forgotten(SagaKey(asked.about), job, arrival),
            Question.BORN_AGAIN: lambda: self._is_born_again(job, noted),
        }
        return answers[asked.question]()

    def _was_uncaught(self, job: Job) -> bool:
        incidents = self._history.incidents(job.instance)
        return any(one.job == job.key and one.kind == _UNCAUGHT for one in incidents)

    def _was_taken_away(self, key: JobKey, job: Job) -> bool:
        found = self._history.job(key)
        return found is not None and (found.instance, found.last) == (job.instance, "CANCELED")

    def _is_born_again(self, job: Job, noted: int | None) -> bool:
        instance = self._history.instance(job.instance)
        return instance is not None and instance.began != noted

    def _is_forgotten(self, owner: SagaKey, job: Job, arrival: Arrival) -> bool:
        """Only an engine that was restored forgets, and only its own word proves it.

        The owner may have begun a moment ago, and its records be on their way, for however long. So
        the job is handed back, once, for this very reason. Once history has the record of that, it
        has all that the engine wrote on the partition before: the owner's too, if there is one.
        Of another partition it says nothing: then it can't be told.

        Raises:
            HistoryUnavailable: the reason for which the job is to be handed back.
        """
        life = self._history.life()
        if life == 1 or partition_of(owner) != partition_of(arrival.process_instance):
            return False
        if self._is_known(owner, arrival) or unread_of(self._history, [owner]):
            return False
        reason = f"process instance {owner} is unknown in the engine's life {life}: asked once more"
        if not job.error_message.endswith(reason):
            raise HistoryUnavailable(reason)
        return True

    def _is_known(self, owner: SagaKey, arrival: Arrival) -> bool:
        found = self._history.instance(owner)
        return found is not None and found.business_key == arrival.saga_key

    def _came_by_flow(self, job: Job) -> int:
        """Count how often a token came to the job's element along a flow of the diagram."""
        # A worker without doubts needs no parser.
        from sagaworks.history.deployed import read_deployed  # noqa: PLC0415

        diagram = self._history.diagram(job.instance)
        incoming = read_deployed(diagram).incoming(job.element) if diagram else frozenset()
        elements = self._history.elements(job.instance)
        return sum(one.kind == "SEQUENCE_FLOW" and one.id in incoming for one in elements)

    def _meant(self, arrival: Arrival, job_type: str) -> Meant | None:
        self._seen(arrival)
        undoing = self._history.undone_by(arrival.element_instance)
        if undoing is None or undoing.instance != arrival.process_instance:
            return None
        executions = {undoing.element_instance}
        elements = self._history.elements(undoing.instance)
        while more := {one.key for one in elements if one.scope in executions} - executions:
            executions |= more
        jobs = self._history.jobs(undoing.instance)
        done = (
            one.key
            for one in jobs
            if one.type == job_type
            and one.last == "COMPLETED"
            and one.element_instance in executions
        )
        return Meant(frozenset(executions), frozenset(done))
