"""Jobs that the engine was to offer again, by its own records, and hasn't."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sagaworks.audit.difference import Difference, What
from sagaworks.history.port import instances_of, unread_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sagaworks.history import DueJob, History

SILENT: Final = timedelta(minutes=1) // timedelta(milliseconds=1)
"""Milliseconds by which a job is late before it counts as overlooked.

The engine looks at what is due each second (measured); one that is overloaded is late with it.
"""


def overlooked(history: History, due: Sequence[DueJob]) -> Iterator[Difference]:
    """Yield what has been silent while the engine wrote on.

    Raises:
        HistoryUnavailable: it can't be asked.
    """
    found = [one for one in due if one.since > SILENT]
    keys = [one.job.instance for one in found]
    instances, unread = instances_of(history, keys), unread_of(history, keys)
    for one in found:
        if one.job.instance in unread:
            continue  # what the engine wrote of it since may be what can't be read
        instance = instances.get(one.job.instance)
        key = instance.business_key if instance else None
        yield _told(one, key or str(one.job.instance))


def untold(due: Sequence[DueJob], now: float) -> int:
    """Return how many jobs are late by this machine's clock, while the engine has written nothing.

    Args:
        now: seconds since 1970.
    """
    return sum(one.since <= SILENT < now * 1000 - one.due for one in due)


def _told(one: DueJob, saga_key: str) -> Difference:
    job = one.job
    what = "back-off was over" if job.recurs else "lock had ended"
    why = f"job {job.key} wasn't offered again in the {one.since // 1000} s after its {what}"
    service = job.type.partition(".")[0]
    return Difference(service, saga_key, What.OVERLOOKED, why, step=job.element)
