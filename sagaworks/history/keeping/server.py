"""The server of a kept history: the exporter's door, the workers' door, and what it measures."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from loguru import logger
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from sagaworks.errors import ConfigurationError
from sagaworks.history.keeping import exporter
from sagaworks.history.keeping.metrics import HistoryMetrics
from sagaworks.history.keeping.web import Answer, WebServer, in_json, refuse
from sagaworks.history.port import HistoryUnavailable
from sagaworks.history.remote import READ
from sagaworks.history.wire import written
from sagaworks.loopback import is_loopback, reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sagaworks.history.keeping.store import KeptHistory
    from sagaworks.history.keeping.unread import Unread
    from sagaworks.history.keeping.web import Request
    from sagaworks.history.values import Instance

_LONGEST_KEY: Final = 19
"""Digits of an engine's key."""

_LARGEST_KEY: Final = 2**63 - 1
"""A database takes no larger one."""

_MOST_AT_ONCE: Final = 200
"""Sagas in one answer: a megabyte or two."""


class HistoryServer:
    """Takes what exporters send and answers what workers ask, over HTTP.

    Args:
        history: prepared; it stays the caller's to close.
        host: where to listen; anywhere but on loopback a token is needed.
        port: 0 for a free one.
        token: what clients must show: workers as a bearer, exporters as their password.
    """

    def __init__(
        self, history: KeptHistory, host: str = "127.0.0.1", port: int = 0, token: str | None = None
    ) -> None:
        """Listen, and serve.

        Raises:
            ConfigurationError: others can connect and there is no token, or the port can't be had.
        """
        self.history = history
        self.metrics = HistoryMetrics(CollectorRegistry(), history.progress)
        self._token = token
        self._trouble: str | None = None
        if not token and not is_loopback(host):
            why = f"--listen {host} is where others can connect"
            raise ConfigurationError(f"{why}: set SAGAWORKS_TOKEN, or use 127.0.0.1")
        try:
            self._server = WebServer(host, port, self._answer, self._at_once)
        except OSError as error:
            place = f"history can't listen on {host} port {port}"
            remedy = "name a free port by --listen, or stop what is there"
            raise ConfigurationError(f"{place}: {error.strerror or error}; {remedy}") from error
        self.url = f"http://{reachable(host)}:{self._server.port}"

    def close(self) -> None:
        """Listen no more; a bulk that is being taken is finished."""
        self._server.close()

    def _at_once(self, request: Request) -> Answer | None:
        """Answer what anybody may ask, and who may not ask more, before a body is read."""
        match request.path:
            case "/live":
                return in_json({"live": True, "reasons": []})
            case "/ready":
                return self._ready()
        return self._refusal(request)

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith(f"{READ}/"):
            return self._read(request)
        if request.path == "/metrics":
            text = generate_latest(self.metrics.registry)
            return Answer(HTTPStatus.OK, text, CONTENT_TYPE_LATEST)
        return exporter.answer(request, self._take)

    def _take(self, records: list[dict[str, Any] | Unread]) -> None:
        try:
            taken = self.history.take(records)
        except HistoryUnavailable as error:
            self.metrics.refused.inc()
            self._tell(str(error))
            raise
        self.metrics.took(taken)
        self._tell(None)

    def _tell(self, trouble: str | None) -> None:
        """Log when trouble begins and when it ends, not each time an exporter tries again."""
        if trouble and trouble != self._trouble:
            logger.error("{}: records wait in the engine until this is mended", trouble)
        if self._trouble and not trouble:
            logger.info("records are taken again")
        self._trouble = trouble

    def _ready(self) -> Answer:
        try:
            self.history.life()
        except HistoryUnavailable as error:
            reasons = [str(error)]
        else:
            reasons = [self._trouble] if self._trouble else []
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        return in_json({"ready": not reasons, "reasons": reasons}, status)

    def _refusal(self, request: Request) -> Answer | None:
        if request.headers.get("Origin"):
            # A web page can have a browser send records to loopback, unasked.
            return refuse(HTTPStatus.FORBIDDEN, "no page of a browser may ask")
        if self._token:
            if not _shows(request.headers.get("Authorization", ""), self._token):
                return refuse(HTTPStatus.UNAUTHORIZED, "wants the token: a bearer, or a password")
        elif not _names_loopback(request.headers.get("Host", "")):
            return refuse(HTTPStatus.FORBIDDEN, "wants a loopback name in `Host`")
        return None

    def _read(self, request: Request) -> Answer:
        path = request.path.removeprefix(f"{READ}/")
        asks_in_body = request.method == "POST" and path == "told"
        if request.method not in ("GET", "HEAD") and not asks_in_body:
            return refuse(HTTPStatus.METHOD_NOT_ALLOWED, "history is only read here")
        query = request.body.decode("ascii", "replace") if asks_in_body else request.query
        try:
            found = _found(self.history, path, query)
        except LookupError:
            return refuse(HTTPStatus.NOT_FOUND, "no such page")
        except HistoryUnavailable as error:
            return refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        return in_json({"found": found})


def _found(history: KeptHistory, path: str, query: str) -> object:
    """Return what is asked for, JSON-ready.

    Raises:
        LookupError: there is no such page.
    """
    match path.split("/"):
        case [what]:
            return _WHOLE[what](history, query)
        case [what, key]:
            return written(_ONE[what](history)(_key(key)))
        case ["instances", key, "diagram"]:
            xml = history.diagram(_key(key))
            return None if xml is None else b64encode(xml).decode()
        case ["instances", key, what]:
            return [written(one) for one in _MANY[what](history)(_key(key))]
    raise LookupError(path)


def _asked_of_many(query: str) -> dict[str, Any]:
    asked = parse_qs(query)
    count = min(_key(asked["count"][0]), _MOST_AT_ONCE)
    return {"count": count, "before": _key(asked["before"][0]) if "before" in asked else None}


def _instances(history: KeptHistory, query: str) -> Iterable[Instance]:
    """Return the instances with a business key, or those of some keys."""
    asked = parse_qs(query, keep_blank_values=True)
    if "keys" in asked:
        return history.instances_of(_keys(asked["keys"][0])).values()
    return history.instances(asked["business_key"][0])


def _told(history: KeptHistory, keys: str) -> object:
    instances, unread = history.told(_keys(keys))
    return {"instances": [written(one) for one in instances.values()], "unread": unread}


_WHOLE: Final[Mapping[str, Callable[[KeptHistory, str], object]]] = {
    "life": lambda history, _: history.life(),
    "due-jobs": lambda history, _: [asdict(one) for one in history.due_jobs()],
    "instances": lambda history, query: [written(one) for one in _instances(history, query)],
    "newest": lambda history, query: [
        one.written() for one in history.newest(**_asked_of_many(query))
    ],
    "seen-until": lambda history, query: history.seen_until(_key(parse_qs(query)["key"][0])),
    "told": _told,
    "unread": lambda history, query: history.unread(_keys(parse_qs(query)["keys"][0])),
}
_ONE: Final[Mapping[str, Callable[[KeptHistory], Callable[[Any], Any]]]] = {
    "jobs": lambda history: history.job,
    "instances": lambda history: history.instance,
    "undone-by": lambda history: history.undone_by,
}
_MANY: Final[Mapping[str, Callable[[KeptHistory], Callable[[Any], Any]]]] = {
    "jobs": lambda history: history.jobs,
    "elements": lambda history: history.elements,
    "incidents": lambda history: history.incidents,
    "undoings": lambda history: history.undoings,
}


def _keys(text: str) -> list[Any]:
    return [_key(one) for one in text.split(",")]


def _key(text: str) -> Any:  # noqa: ANN401  of whatever it is the key
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_KEY):
        raise LookupError(text)
    if (key := int(text)) > _LARGEST_KEY:
        raise LookupError(text)
    return key


def _names_loopback(host: str) -> bool:
    """Whether that's what `Host` says; what can't be read says nothing."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _shows(header: str, token: str) -> bool:
    kind, _, given = header.partition(" ")
    if kind.lower() == "basic":
        try:
            given = b64decode(given, validate=True).decode().partition(":")[2]
        except ValueError:
            return False
    elif kind.lower() != "bearer":
        return False
    return hmac.compare_digest(given.encode(), token.encode())
