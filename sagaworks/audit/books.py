"""One service's ledger, looked at through its own database, beside the engine's history."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sagaworks.audit.difference import Difference, What
from sagaworks.ledger.reader import SETTLED_WITHIN, read_known, read_owners, read_trail
from sagaworks.ledger.rows import State
from sagaworks.reconcile import doubts_of, effects
from sagaworks.reconcile.evidence import Diagrams, Evidence, Told
from sagaworks.reconcile.judge import Act, Kind, Verdict, judge
from sagaworks.reconcile.settling import job_types_of
from sagaworks.saga import SagaKey

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sagaworks.history import History
    from sagaworks.ledger.store import Store
    from sagaworks.reconcile.effects import Effect, OpenSaga
    from sagaworks.service import Service
    from sagaworks.step import Step

_PORTION: Final = 100
"""Sagas asked for in one go."""

_OF_KIND: Final = {
    Kind.IN_DOUBT: What.IN_DOUBT,
    Kind.FORGOTTEN: What.FORGOTTEN,
    Kind.STRANDED: What.STRANDED,
    Kind.STANDS: What.STANDS,
}


class Books:
    """A service's ledger, and what history says of it. Nothing is written here.

    Args:
        service: whose; its steps say which have a compensation.
        store: its database.
        history: the engine's.
        tenant: whose sagas.
        patience: seconds for which a row is left alone: its record is on the way.

    Attributes:
        forgotten: sagas that the engine doesn't know, and of which nothing is open here.
    """

    def __init__(
        self, service: Service, store: Store, history: History, tenant: str, patience: float
    ) -> None:
        """Ask nothing yet."""
        self.service = service
        self.store = store
        self.tenant = tenant
        self._history = history
        self._patience = patience
        self._diagrams = Diagrams(history)
        self.forgotten: list[str] = []

    def differences(self) -> Iterator[Difference]:
        """Yield what differs, saga by saga; and note what is forgotten with nothing open.

        Raises:
            HistoryUnavailable, SQLAlchemyError: it can't be asked.
        """
        self._diagrams.begin(self._history.life())
        self.forgotten = []
        keys = [*self._keys()]
        for at in range(0, len(keys), _PORTION):
            yield from self._of_sagas(keys[at : at + _PORTION])

    def of_saga(self, saga_key: str) -> list[Difference]:
        """Return what differs about one saga."""
        self._diagrams.begin(self._history.life())
        return [*self._of_sagas([saga_key])]

    def undone(self, saga_key: str) -> list[str]:
        """Return the saga's steps that were undone here, first one first."""
        with self.store.reading() as connection:
            told = read_trail(connection, self.tenant, saga_key)
        return [str(one["step"]) for one in told if one["event"] == "undone"]

    def knows(self, saga_keys: Collection[str]) -> set[str]:
        """Return those of the sagas that the ledger has a row of."""
        with self.store.reading() as connection:
            return read_known(connection, self.tenant, saga_keys)

    def owners(self, saga_keys: Collection[str]) -> dict[str, SagaKey]:
        """Return which process instances own business keys, by the ledger."""
        with self.store.reading() as connection:
            found = read_owners(connection, self.tenant, saga_keys)
        return {key: SagaKey(instance) for key, instance in found.items()}

    def has_undo(self, name: str) -> bool:
        """Whether a step of the ledger has a compensation in this version."""
        step = self._step(name)
        return step is not None and step.undo is not None

    def _step(self, name: str) -> Step[..., Any] | None:
        return next((one for one in self.service.steps.values() if name in one.names), None)

    @cached_property
    def job_types(self) -> frozenset[str]:
        """The types of jobs that leave a row here."""
        kept = (step for step in self.service.steps.values() if step.kind != "read_only")
        return frozenset(f"{self.service.name}.{name}" for step in kept for name in step.names)

    def _keys(self) -> dict[str, None]:
        """Return the sagas that aren't settled: in doubt, not ended, or listed."""
        found: dict[str, None] = {}
        with self.store.reading() as connection:
            row, age, portion = 0, self._patience, _PORTION
            while rows := effects.uncounted(connection, self.tenant, row, age, portion):
                row = rows[-1][0]
                found |= dict.fromkeys(key for _, key in rows)
            key = ""
            while sagas := effects.not_ended(connection, self.tenant, key, age, portion):
                key = sagas[-1].key
                found |= dict.fromkeys(one.key for one in sagas)
            row = 0
            while listed := doubts_of(connection, self.tenant, after=row):
                row = listed[-1].execution
                found |= dict.fromkeys(one.saga_key for one in listed)
        return found

    def _of_sagas(self, keys: Sequence[str]) -> Iterator[Difference]:
        with self.store.reading() as connection:
            sagas = effects.open_sagas(connection, self.tenant, keys)
        told = Told.of(self._history, effects.instances_in(sagas))
        types = job_types_of(self.service)
        for saga in sagas:
            evidence = Evidence(self._history, self._diagrams, saga.key, told, types)
            yield from self._of_saga(saga, evidence)

    def _of_saga(self, saga: OpenSaga, evidence: Evidence) -> Iterator[Difference]:
        if saga.damaged:
            yield Difference(self.service.name, saga.key, What.DAMAGED, saga.damaged)
            return
        if not saga.effects and evidence.instance(saga.process_instance) is None:
            self.forgotten.append(saga.key)
        for effect in saga.effects:
            if effect.age < self._patience:
                continue
            if found := self._difference(effect, judge(effect, evidence)):
                yield found

    def _difference(self, effect: Effect, verdict: Verdict) -> Difference | None:
        match verdict.act:
            case Act.NOTHING:
                return self._of_intent(effect)
            case Act.SETTLE:
                return None
            case Act.LIST:
                return self._about(effect, _OF_KIND[verdict.kind], verdict.why)
            case Act.COUNT:
                remedy = "count it"
                if effect.entry.state is State.INTENT:
                    remedy = "make the same call again, and count it"
                return self._mendable(effect, verdict, What.UNCOUNTED, verdict.why, remedy)
            case Act.WITHDRAW | Act.UNDO:
                return self._to_undo(effect, verdict)

    def _to_undo(self, effect: Effect, verdict: Verdict) -> Difference:
        why = verdict.why or effect.why or "its undo is recorded"
        step = self._step(effect.entry.step)
        if step is None or step.undo is None:
            missing = "has no compensation" if step else "is no step of this version"
            return self._about(effect, What.STRANDED, f"{why}; {effect.entry.step} {missing}")
        remedy = f"undo it by {step.undo.job_type}"
        if effect.listed == Kind.STRANDED:
            tried = replace(effect, rested=float("inf"))
            why = f"{effect.why}; tried {effect.tries} times"
            return self._mendable(tried, verdict, What.STRANDED, why, remedy)
        what = What.TAKEN_AWAY if verdict.act is Act.WITHDRAW else What.WITHDRAWN
        return self._mendable(effect, verdict, what, why, remedy)

    def _of_intent(self, effect: Effect) -> Difference | None:
        is_late = effect.age > SETTLED_WITHIN.total_seconds()
        if effect.entry.state is not State.INTENT or not is_late:
            return None
        return self._about(effect, What.OPEN_INTENT, f"job {effect.entry.job} hasn't its answer")

    def _mendable(
        self, effect: Effect, verdict: Verdict, what: What, why: str, remedy: str
    ) -> Difference:
        found = self._about(effect, what, why)
        return replace(found, effect=effect, verdict=verdict, remedy=remedy)

    def _about(self, effect: Effect, what: What, why: str) -> Difference:
        entry = effect.entry
        return Difference(
            self.service.name,
            effect.saga_key,
            what,
            why,
            step=entry.step,
            each=entry.each,
            round=entry.round,
            execution=entry.id,
            age=effect.age,
        )
