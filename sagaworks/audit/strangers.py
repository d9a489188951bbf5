"""What the engine's history knows, and the ledgers don't."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from sagaworks.audit.difference import Difference, What
from sagaworks.history.port import instances_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sagaworks.audit.books import Books
    from sagaworks.history import BrowsableHistory, Known
    from sagaworks.saga import SagaKey

_PORTION: Final = 100


class Strangers:
    """Goes through the newest process instances, and asks each service that had a part in one.

    Args:
        history: one that can be gone through.
        books: of the services that could be asked.
        most: of process instances.

    Attributes:
        seen: how many were looked at.
    """

    def __init__(self, history: BrowsableHistory, books: Sequence[Books], most: int) -> None:
        """Ask nothing yet."""
        self._history = history
        self._books = books
        self._most = most
        self._running: defaultdict[str, list[SagaKey]] = defaultdict(list)
        self.seen = 0

    def differences(self) -> Iterator[Difference]:
        """Yield what no ledger knows, and keys that are used twice.

        Raises:
            HistoryUnavailable, SQLAlchemyError: it can't be asked.
        """
        for batch in self._batches():
            self._note_running(batch)
            for books in self._books:
                yield from _unknown_to(books, batch)
        for key, instances in self._running.items():
            if len(instances) > 1:
                both = ", ".join(map(str, sorted(instances)))
                yield Difference("", key, What.TWICE, f"process instances {both} are running")
        yield from self._second_ones()

    def _second_ones(self) -> Iterator[Difference]:
        """Yield who runs alone under a key that is another's, which the engine knows too.

        A start whose reply got lost leaves one, halted at its first step: nothing of it is in a
        ledger. One whose first is forgotten is told with that one's effects.
        """
        alone = {key: found[0] for key, found in self._running.items() if len(found) == 1}
        keys = [*alone]
        for at in range(0, len(keys), _PORTION):
            owners: dict[str, SagaKey] = {}
            for books in self._books:
                owners |= books.owners(keys[at : at + _PORTION])
            others = {key: owner for key, owner in owners.items() if owner != alone[key]}
            known = instances_of(self._history, [*others.values()])
            for key, owner in others.items():
                if owner in known and known[owner].business_key == key:
                    why = f"process instance {alone[key]} is running, and the saga is {owner}'s"
                    yield Difference("", key, What.TWICE, why)

    def _batches(self) -> Iterator[Sequence[Known]]:
        before = None
        while self.seen < self._most:
            batch = self._history.newest(min(_PORTION, self._most - self.seen), before=before)
            if not batch:
                return
            self.seen += len(batch)
            before = batch[-1].instance.key
            yield batch

    def _note_running(self, batch: Sequence[Known]) -> None:
        for one in batch:
            if one.instance.business_key is not None and one.instance.ended is None:
                self._running[one.instance.business_key].append(one.instance.key)


def _unknown_to(books: Books, batch: Sequence[Known]) -> Iterator[Difference]:
    took_part = {
        one.instance.business_key: done[0]
        for one in batch
        if one.instance.business_key is not None
        and (
            done := [
                job for job in one.jobs if _left_a_row(job.last) and job.type in books.job_types
            ]
        )
    }
    known = books.knows(took_part) if took_part else set()
    for key, job in took_part.items():
        if key not in known:
            why = f"the engine counts job {job.key} of {job.element} as done"
            yield Difference(books.service.name, key, What.NO_LEDGER, why, step=job.element)


def _left_a_row(last: str) -> bool:
    return last in {"COMPLETED", "ERROR_THROWN"}
