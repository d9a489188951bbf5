"""The engine's shipped exporter, which speaks plain HTTP bulk and doesn't ask who answers."""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from sagaworks.history.keeping.unread import Unread, shallow, unread_line
from sagaworks.history.keeping.web import Answer, in_json, refuse
from sagaworks.history.port import HistoryUnavailable
from sagaworks.history.records import is_long

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

_WORDS: Final = ("recordType", "valueType", "intent")
_NUMBERS: Final = ("partitionId", "position", "timestamp", "key")
_LONGEST_WORD: Final = 40
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


def answer(request: Request, take: Callable[[list[dict[str, Any] | Unread]], None]) -> Answer:
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


def parse(body: bytes) -> list[dict[str, Any] | Unread]:
    """Return the records of a bulk: of each two lines the second.

    Raises:
        ValueError: it's no bulk of Zeebe's exporter.
    """
    lines = body.split(b"\n")
    with suppress(ValueError, RecursionError):
        found = json.loads(b"[" + b",".join(lines[1::2]).rstrip(b",") + b"]")
        if all(map(_is_enveloped, found)):
            return found  # type: ignore[no-any-return]
    return [_one(*pair) for pair in zip(lines[::2], lines[1::2], strict=False)]


def _one(action: bytes, line: bytes) -> dict[str, Any] | Unread:
    try:
        found = _loaded(line)
    except (ValueError, RecursionError):
        return unread_line(action, None, "it's no JSON")
    if _is_enveloped(found):
        return found  # type: ignore[no-any-return]
    return unread_line(action, found, "it isn't as Zeebe's exporter writes them")


def _loaded(line: bytes) -> Any:  # noqa: ANN401  JSON
    try:
        return json.loads(line)
    except RecursionError:
        return json.loads(shallow(line))


def _is_enveloped(found: Any) -> bool:  # noqa: ANN401  JSON
    """Whether it says where in the log it stands, what it is, and when it was written."""
    try:
        if not all(is_long(found[name]) for name in _NUMBERS):
            return False
        for name in _WORDS:
            word = found[name]
            if len(word) > _LONGEST_WORD or not word.isascii():
                return False
        return type(found["value"]) is dict
    except (LookupError, TypeError, AttributeError):
        return False
