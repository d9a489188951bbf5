"""What history shows of a row: its own instance and job, the pivot, what was left around it.

A record counts for a row only if it is of the row's own saga and step: in another life of the
engine its key is a stranger's. Each question is asked once for a saga's rows.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Self

from sagaworks.history import Element, History, Instance, Job
from sagaworks.history.deployed import Deployed, read_deployed
from sagaworks.history.port import TellsAtOnce, TellsHowFar, instances_of, unread_of
from sagaworks.reconcile.effects import Effect
from sagaworks.saga import ElementKey, JobKey, SagaKey

TERMINATED: Final = "ELEMENT_TERMINATED"
ENDED: Final = "ELEMENT_COMPLETED"

UNDECLARED: Final = ""

CLOCKS_DIFFER: Final = 5.0
"""Seconds by which the engine's clock and this machine's may differ."""


class Diagrams:
    """Deployed diagrams, each asked for once: they are many times larger than what else is asked.

    A definition's key is a stranger's in another life of the engine.
    """

    def __init__(self, history: History) -> None:
        """Ask nothing yet."""
        self._history = history
        self._life = 1
        self._read: dict[int, Deployed] = {}

    @property
    def is_first_life(self) -> bool:
        """Whether the engine was never restored, as far as history knows."""
        return self._life == 1

    def begin(self, life: int) -> None:
        """Forget what was read in another life."""
        if life != self._life:
            self._read.clear()
        self._life = life

    def of(self, instance: Instance) -> Deployed | None:
        """Return an instance's diagram; None where history has none.

        Raises:
            ContractError: it can't be read.
        """
        found = self._read.get(instance.definition)
        if found is None:
            xml = self._history.diagram(instance.key)
            if xml is None:
                return None
            found = self._read[instance.definition] = read_deployed(xml)
        return found


@dataclass(frozen=True, slots=True)
class Told:
    """What is asked at once for many sagas.

    Attributes:
        instances: those of their process instances that are known.
        unread: of which instances records may be missing, and why.
    """

    instances: Mapping[SagaKey, Instance] = field(default_factory=dict)
    unread: Mapping[SagaKey, str] = field(default_factory=dict)

    @classmethod
    def of(cls, history: History, keys: Sequence[SagaKey]) -> Self:
        """Ask.

        Raises:
            HistoryUnavailable: it can't be asked.
        """
        if isinstance(history, TellsAtOnce):
            return cls(*history.told(keys))
        return cls(instances_of(history, keys), unread_of(history, keys))


class Evidence:
    """What history shows of one saga's rows.

    Args:
        saga_key: the business key.
        told: what is known already.
        job_types: which types of jobs carry out a step, by the step's name in the ledger.
    """

    def __init__(
        self,
        history: History,
        diagrams: Diagrams,
        saga_key: str,
        told: Told,
        job_types: Mapping[str, frozenset[str]],
    ) -> None:
        """Ask nothing yet."""
        self._told = told
        self._saga_key = saga_key
        self._job_types = job_types
        self._history = history
        self._diagrams = diagrams
        self._elements = cache(self._all_elements)

    def instance(self, key: SagaKey) -> Instance | None:
        """Return a process instance of this saga, if it's known in the engine's present life."""
        found = self._told.instances.get(key)
        return found if found and found.business_key == self._saga_key else None

    def unread(self, key: SagaKey, *, again: bool) -> str | None:
        """Return why a record of an instance may be missing, where one may.

        Args:
            again: ask anew, after all else has been asked.
        """
        return (unread_of(self._history, [key]) if again else self._told.unread).get(key)

    def has_come_past(self, effect: Effect) -> bool:
        """Whether history has come past the moment at which an effect was committed.

        Until then the record of its process instance may be on its way, for however long.
        """
        if not isinstance(self._history, TellsHowFar):
            return False
        committed = (time.time() - effect.age + CLOCKS_DIFFER) * 1000
        return self._history.seen_until(effect.entry.process_instance) > committed

    def mark_holds(self, effect: Effect) -> bool:
        """Whether the engine counts what it was heard to count: one that was restored may not."""
        return effect.counted and self._diagrams.is_first_life

    def job(self, effect: Effect) -> Job | None:
        """Return the row's own job, the last that has it."""
        found = self._history.job(effect.entry.job)
        if found is None or found.instance != effect.entry.process_instance:
            return None
        types = self._job_types.get(effect.entry.step, frozenset())
        return found if found.type in types else None

    def undo_is_over(self, effect: Effect) -> bool:
        """Whether the compensation job that has begun to undo the row is gone."""
        begun_by = self._history.job(JobKey(effect.entry.undone_by or 0))
        own = begun_by is not None and begun_by.instance == effect.entry.process_instance
        return own and begun_by is not None and begun_by.last in {"COMPLETED", "CANCELED"}

    def knows_diagram(self, instance: Instance) -> bool:
        """Whether history has the saga's diagram: it may have come when it was deployed already."""
        return self._diagrams.of(instance) is not None

    def pivot_done(self, instance: Instance) -> bool:
        """Whether the saga's pivot is done, by the deployed diagram."""
        diagram = self._diagrams.of(instance)
        if diagram is None or not diagram.pivots:
            return False
        elements = self._elements(instance.key).values()
        return any(one.id in diagram.pivots and one.last == ENDED for one in elements)

    def is_nested(self, effect: Effect, instance: Instance) -> bool:
        """Whether the step stands, or may stand, where something can be terminated around it."""
        diagram = self._diagrams.of(instance)
        return diagram is None or effect.element in diagram.nested

    def left(self, job: Job, instance: Instance) -> str | None:
        """Return what is declared on what was terminated around the step; None if nothing was."""
        elements = self._elements(job.instance)
        outermost, inner = None, elements.get(job.element_instance)
        while inner and (around := elements.get(inner.scope)):
            outermost, inner = around if around.last == TERMINATED else outermost, around
        if outermost is None:
            return None
        diagram = self._diagrams.of(instance)
        return diagram.leave.get(outermost.id, UNDECLARED) if diagram else UNDECLARED

    def _all_elements(self, instance: SagaKey) -> dict[ElementKey, Element]:
        return {one.key: one for one in self._history.elements(instance)}


__all__ = ["ENDED", "TERMINATED", "UNDECLARED", "Diagrams", "Evidence", "Told"]
