"""The history that `sagaworks history` keeps, asked over HTTP: nobody else reads its database."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final

from sagaworks.history.asking import Server, understood
from sagaworks.history.known import Known
from sagaworks.history.port import HistoryUnavailable
from sagaworks.history.values import DueJob, Element, Incident, Instance, Job, Undoing
from sagaworks.history.wire import Value, read
from sagaworks.saga import SagaKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sagaworks.saga import ElementKey, JobKey

READ: Final = "/history/v1"
"""Where the read API begins; another number will answer otherwise."""


class HttpHistory:
    """Answers as `sagaworks.history.History`; from several threads too.

    Args:
        url: where `sagaworks history` listens, ``http://host:port``.
        token: the one that it was started with, if it was.
    """

    api = "`sagaworks history`"

    def __init__(self, url: str, *, token: str | None = None) -> None:
        """Ask nothing yet."""
        self._server = Server(url, {"Authorization": f"Bearer {token}"} if token else None)

    @understood
    def life(self) -> int:
        """See `History`."""
        return int(self._said("life"))

    @understood
    def job(self, key: JobKey) -> Job | None:
        """See `History`."""
        return self._one(Job, f"jobs/{key:d}")

    @understood
    def instance(self, key: SagaKey) -> Instance | None:
        """See `History`."""
        return self._one(Instance, f"instances/{key:d}")

    @understood
    def instances(self, business_key: str) -> Sequence[Instance]:
        """See `History`."""
        return self._many(Instance, "instances", business_key=business_key)

    @understood
    def instances_of(self, keys: Sequence[SagaKey]) -> Mapping[SagaKey, Instance]:
        """See `AnswersMany`."""
        found = self._many(Instance, "instances", keys=_listed(keys)) if keys else []
        return {one.key: one for one in found}

    @understood
    def unread(self, keys: Sequence[SagaKey]) -> Mapping[SagaKey, str]:
        """See `MissesRecords`."""
        return _unread(self._said("unread", keys=_listed(keys))) if keys else {}

    @understood
    def told(
        self, keys: Sequence[SagaKey]
    ) -> tuple[Mapping[SagaKey, Instance], Mapping[SagaKey, str]]:
        """See `TellsAtOnce`."""
        if not keys:
            return {}, {}
        # Not in the URL: urllib3 looks at each of its characters, which takes as long as all else.
        said = self._found(self._server.ask("POST", f"{READ}/told", body=_listed(keys)))
        instances = (read(Instance, one) for one in said["instances"])
        return {one.key: one for one in instances}, _unread(said["unread"])

    @understood
    def seen_until(self, key: SagaKey) -> int:
        """See `TellsHowFar`."""
        return int(self._said("seen-until", key=f"{key:d}"))

    @understood
    def jobs(self, instance: SagaKey) -> Sequence[Job]:
        """See `History`."""
        return self._many(Job, f"instances/{instance:d}/jobs")

    @understood
    def elements(self, instance: SagaKey) -> Sequence[Element]:
        """See `History`."""
        return self._many(Element, f"instances/{instance:d}/elements")

    @understood
    def incidents(self, instance: SagaKey) -> Sequence[Incident]:
        """See `History`."""
        return self._many(Incident, f"instances/{instance:d}/incidents")

    @understood
    def undoings(self, instance: SagaKey) -> Sequence[Undoing]:
        """See `History`."""
        return self._many(Undoing, f"instances/{instance:d}/undoings")

    @understood
    def undone_by(self, handler_instance: ElementKey) -> Undoing | None:
        """See `History`."""
        return self._one(Undoing, f"undone-by/{handler_instance:d}")

    @understood
    def diagram(self, instance: SagaKey) -> bytes | None:
        """See `History`."""
        said = self._said(f"instances/{instance:d}/diagram")
        return None if said is None else b64decode(said)

    @understood
    def newest(self, count: int, *, before: SagaKey | None = None) -> Sequence[Known]:
        """See `BrowsableHistory`."""
        asked = {"count": count} | ({} if before is None else {"before": before})
        return [Known.read(one) for one in self._said("newest", **asked)]

    @understood
    def due_jobs(self) -> Sequence[DueJob]:
        """See `TellsWhatIsDue`."""
        said = self._said("due-jobs")
        return [DueJob(read(Job, one["job"]), one["due"], one["since"]) for one in said]

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _one(self, kind: type[Value], path: str) -> Value | None:
        said = self._said(path)
        return None if said is None else read(kind, said)

    def _many(self, kind: type[Value], path: str, **asked: object) -> list[Value]:
        return [read(kind, one) for one in self._said(path, **asked)]

    def _said(self, path: str, **asked: object) -> Any:  # noqa: ANN401  JSON
        return self._found(self._server.get(f"{READ}/{path}", **asked))

    def _found(self, answer: Any) -> Any:  # noqa: ANN401  JSON
        try:
            return answer["found"]
        except (LookupError, TypeError):
            raise HistoryUnavailable(f"what answers at {self._server.name} is no history") from None


def _unread(said: Mapping[str, Any]) -> Mapping[SagaKey, str]:
    return {SagaKey(int(key)): str(why) for key, why in said.items()}


def _listed(keys: Sequence[SagaKey]) -> str:
    return ",".join(f"{key:d}" for key in dict.fromkeys(keys))
