"""All that history knows of one process instance, in one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sagaworks.history.port import History
from sagaworks.history.values import Element, Incident, Instance, Job, Undoing
from sagaworks.history.wire import read, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Self, TypeVar

    from sagaworks.codec import Json
    from sagaworks.history.account import Account
    from sagaworks.saga import SagaKey

    One = TypeVar("One", Element, Incident, Job, Undoing)


@dataclass(frozen=True)
class Known:
    """What the port tells of a process instance."""

    instance: Instance
    elements: Sequence[Element]
    jobs: Sequence[Job]
    incidents: Sequence[Incident]
    undoings: Sequence[Undoing]

    @classmethod
    def of(cls, history: History, instance: Instance) -> Self:
        """Ask for it.

        Raises:
            HistoryUnavailable: it can't be asked.
        """
        key = instance.key
        elements, jobs = history.elements(key), history.jobs(key)
        return cls(instance, elements, jobs, history.incidents(key), history.undoings(key))

    def written(self) -> dict[str, Json]:
        """Return it JSON-ready."""
        return {
            "instance": written(self.instance),
            "elements": [written(one) for one in self.elements],
            "jobs": [written(one) for one in self.jobs],
            "incidents": [written(one) for one in self.incidents],
            "undoings": [written(one) for one in self.undoings],
        }

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Self:
        """Return what `written` wrote.

        Raises:
            TypeError: something that must be said isn't.
        """
        return cls(
            read(Instance, said["instance"]),
            [read(Element, one) for one in said["elements"]],
            [read(Job, one) for one in said["jobs"]],
            [read(Incident, one) for one in said["incidents"]],
            [read(Undoing, one) for one in said["undoings"]],
        )


class BrowsableHistory(History, Protocol):
    """A history that can be gone through, without knowing its sagas' keys."""

    def newest(self, count: int, *, before: SagaKey | None = None) -> Sequence[Known]:
        """Return so many process instances, that of the highest key first.

        Args:
            count: at most; where there are none, all have been returned.
            before: the last instance that was returned.
        """


def each_known(account: Account) -> Iterator[Known]:
    """Yield what added-up records tell of each process instance, first one first."""
    elements = _by_instance(account.elements_in_order())
    jobs = _by_instance(account.jobs.values())
    incidents = _by_instance(account.incidents.values())
    undoings = _by_instance(account.undoings.values())
    for one in account.instances.values():
        yield Known(
            account.instance(one.key) or one,
            elements.get(one.key, []),
            jobs.get(one.key, []),
            incidents.get(one.key, []),
            undoings.get(one.key, []),
        )


def _by_instance(found: Iterable[One]) -> Mapping[SagaKey, list[One]]:
    by_instance: dict[SagaKey, list[One]] = {}
    for one in found:
        by_instance.setdefault(one.instance, []).append(one)
    return by_instance
