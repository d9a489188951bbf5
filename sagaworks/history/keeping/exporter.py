"""The engine's shipped exporter, which speaks plain HTTP bulk and doesn't ask who answers."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from sagaworks.history.keeping.web import Answer, in_json, refuse
from sagaworks.history.port import HistoryUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sagaworks.history.keeping.web import Request

EXPORTER: Final = "io.camunda.zeebe.exporter.ElasticsearchExporter"
_PREFIX: Final = "zeebe.broker.exporters.sagaworks"

KEPT: Final = (
    "process",
    "processInstance",
    "job",
    "incident",
    "variable",
    "compensationSubscription",
)
"""The types of records that history keeps anything of, by the exporter's names."""

_NOT_KEPT: Final = (
    "deployment",
    "deploymentDistribution",
    "decision",
    "decisionEvaluation",
    "decisionRequirements",
    "error",
    "escalation",
    "message",
    "messageStartEventSubscription",
    "messageSubscription",
    "processEvent",
    "processInstanceCreation",
    "processInstanceModification",
    "processMessageSubscription",
    "resourceDeletion",
    "signal",
    "signalSubscription",
    "timer",
    "variableDocument",
)
"""What the exporter sends as shipped, and history has no use for: it costs both sides."""

_ENVELOPE: Final = frozenset(
    {"partitionId", "position", "timestamp", "recordType", "valueType", "intent", "key", "value"}
)
_TAKEN: Final = in_json({"took": 0, "errors": False, "items": []})
_FINE: Final = in_json({"acknowledged": True, "errors": False})


def settings_for(url: str, *, kinds: Iterable[str] = KEPT, size: int = 1000) -> dict[str, object]:
    """Return the broker's settings that have its exporter send to a receiver at `url`.

    Args:
        url: ``http://host:port``.
        kinds: the types of records that are sent.
        size: how many records at once; what there is goes after a second.
    """
    wanted = {*kinds}
    chosen = dict.fromkeys(wanted, "true") | {
        kind: "false" for kind in _NOT_KEPT if kind not in wanted
    }
    return {
        f"{_PREFIX}.className": EXPORTER,
        f"{_PREFIX}.args.url": url,
        f"{_PREFIX}.args.bulk.delay": 1,
        f"{_PREFIX}.args.bulk.size": size,
        f"{_PREFIX}.args.index.createTemplate": "false",
        **{f"{_PREFIX}.args.index.{kind}": said for kind, said in sorted(chosen.items())},
    }


def answer(request: Request, take: Callable[[list[dict[str, Any]]], None]) -> Answer:
    """Answer the exporter; a bulk is acknowledged once `take` has returned.

    Args:
        request: any but those of history's own pages.
        take: given a bulk's records; raises HistoryUnavailable where they must come again.
    """
    if not request.path.endswith("/_bulk"):
        return _FINE  # a template, settings, a look whether anybody is there
    try:
        records = parse(request.body)
    except ValueError as error:
        return refuse(HTTPStatus.BAD_REQUEST, str(error))
    try:
        take(records)
    except HistoryUnavailable as error:
        return refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    return _TAKEN


def parse(body: bytes) -> list[dict[str, Any]]:
    """Return the records of a bulk: of each two lines the second.

    Raises:
        ValueError: it's no bulk of records.
    """
    try:
        found: list[dict[str, Any]] = json.loads(
            b"[" + b",".join(body.split(b"\n")[1::2]).rstrip(b",") + b"]"
        )
    except ValueError:
        raise ValueError("a bulk is lines of JSON in pairs, an action and a record") from None
    for record in found:
        if not (isinstance(record, dict) and record.keys() >= _ENVELOPE):
            raise ValueError("a record isn't as Zeebe's exporter writes it")
    return found
