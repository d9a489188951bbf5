"""The trail of one saga: its services' own ledgers, and the engine's side from history.

Nobody's database is opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from rich.table import Table

    from sagaworks.engineside import EngineSide
    from sagaworks.settings import Settings

Entry = Mapping[str, Any]
"""What one service did in the saga, once; see `sagaworks.ledger.reader.read_trail`."""

_PATIENCE: Final = timedelta(seconds=3)
_LARGEST: Final = 16 * 2**20
_MOST_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A service that couldn't be asked, and why."""

    service: str
    why: str


@dataclass(frozen=True, slots=True)
class Trail:
    """What happened in a saga, in order, as far as the services could be asked.

    Attributes:
        engine: what the engine has recorded of it; None if nobody could tell.
        no_engine: why not, where there is a history that should.
    """

    saga_key: str
    entries: tuple[Entry, ...]
    unreachable: tuple[Unreachable, ...] = ()
    engine: EngineSide | None = None
    no_engine: str | None = None

    @property
    def process_instances(self) -> tuple[int, ...]:
        """The instances its entries name: one, unless the engine was restored or a key reused."""
        return tuple(dict.fromkeys(entry["process_instance"] for entry in self.entries))

    @property
    def in_doubt(self) -> tuple[Entry, ...]:
        """The effects of which it isn't known whether the engine counts them."""
        return tuple(entry for entry in self.entries if entry.get("in_doubt"))

    def as_json(self) -> str:
        """Return it as one JSON object, for programs."""
        instances = self.process_instances
        whole = {
            "saga_key": self.saga_key,
            "process_instance": instances[0] if instances else None,
            "entries": [self._entry(entry) for entry in self.entries],
            "unreachable": [{"service": u.service, "why": u.why} for u in self.unreachable],
            "engine": self.engine.as_plain() if self.engine else None,
            "no_engine": self.no_engine,
        }
        return json.dumps(whole, indent=2, ensure_ascii=False)

    def _entry(self, entry: Entry) -> Entry:
        return {**entry, "engine": self.engine.said_of(entry)} if self.engine else entry

    def headline(self) -> str:
        """Return the line above the table."""
        instances = ", ".join(map(str, self.process_instances))
        return f"{self.saga_key}: process instance {instances}"

    def as_table(self) -> Table:
        """Return it as a table, for people."""
        from rich.table import Table  # noqa: PLC0415  a fifth of a second, for this only

        table = Table(box=None, header_style="bold", pad_edge=False)
        engine = ("engine",) if self.engine else ()
        for name in ("time", "service", "step", "event", *engine, "details"):
            table.add_column(name, overflow="fold")
        for name in ("round", "ms"):
            table.add_column(name, justify="right")
        for entry in self.entries:
            table.add_row(*self._row(entry), style="bold yellow" if entry.get("in_doubt") else None)
        return table

    def _row(self, entry: Entry) -> tuple[str, ...]:
        at = datetime.fromisoformat(entry["at"])
        since_start = at - datetime.fromisoformat(self.entries[0]["at"])
        return (
            f"{at:%H:%M:%S}.{at.microsecond // 1000:03}",
            *(_plain(entry[name]) for name in ("service", "step", "event")),
            *((_plain(self.engine.in_words(entry)),) if self.engine else ()),
            _plain(_details(entry)),
            str(entry["round"]),
            str(since_start // timedelta(milliseconds=1)),
        )


def read_trail(saga_key: str, services: Sequence[str], settings: Settings) -> Trail:
    """Ask every service at once; one that doesn't answer is in `Trail.unreachable`.

    History is asked too, where there is one; that it's away is in `Trail.no_engine`.
    """
    with ThreadPoolExecutor(max_workers=_MOST_AT_ONCE, thread_name_prefix="trail") as threads:
        answers = list(threads.map(lambda name: _ask(saga_key, name, settings), services))
    entries = [entry for answer in answers if isinstance(answer, list) for entry in answer]
    entries.sort(key=lambda entry: datetime.fromisoformat(entry["at"]))
    missing = (answer for answer in answers if isinstance(answer, Unreachable))
    return replace(_engine(saga_key, settings), entries=tuple(entries), unreachable=tuple(missing))


def _engine(saga_key: str, settings: Settings) -> Trail:
    """Return a trail of the engine's side alone."""
    place = settings.history_place()
    if place is None:
        return Trail(saga_key, ())
    # Only here: a trail without history needs neither diagrams nor an HTTP client.
    from sagaworks.engineside import read_engine_side  # noqa: PLC0415
    from sagaworks.history import HistoryUnavailable, connect  # noqa: PLC0415

    try:
        found = read_engine_side(connect(place, token=settings.token), saga_key)
    except HistoryUnavailable as error:
        return Trail(saga_key, (), no_engine=str(error))
    return Trail(saga_key, (), engine=found)


class _NoAnswerError(Exception):
    """Why there is no answer from this service."""


def _ask(saga_key: str, service: str, settings: Settings) -> list[Entry] | Unreachable:
    url = settings.management_url(service)
    if url is None:
        return Unreachable(service, "no worker is running")
    try:
        answer = _get(f"{url}/ledger/{quote(saga_key, safe='')}", settings.token)
        return _entries(answer, service)
    except _NoAnswerError as error:
        return Unreachable(service, str(error))


def _get(url: str, token: str | None) -> bytes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        request = Request(url, headers=headers)  # noqa: S310  settings take http(s) only
        with _opener.open(request, timeout=_PATIENCE.total_seconds()) as answer:
            content: bytes = answer.read(_LARGEST + 1)
    except HTTPError as error:
        raise _NoAnswerError(_refused(error)) from None
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise _NoAnswerError(f"no answer: {_in_words(reason)}") from None
    if len(content) > _LARGEST:
        raise _NoAnswerError("its answer is too large")
    return content


class _NoRedirect(HTTPRedirectHandler):
    """Follows nothing: the token is for the service alone."""

    def redirect_request(self, *_: object) -> None:
        return None


# No proxy either: workers are on this machine or inside the network.
_opener: Final = build_opener(ProxyHandler({}), _NoRedirect)


def _refused(error: HTTPError) -> str:
    with error:
        if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return "refused: SAGAWORKS_TOKEN must be the worker's"
        try:
            why = json.loads(error.read(2000))["error"]
        except (ValueError, LookupError, TypeError, OSError):
            why = error.reason
    return f"answered {error.code}: {why}"


def _entries(answer: bytes, service: str) -> list[Entry]:
    """Read the answer; a port may belong to another worker by now."""
    try:
        found = json.loads(answer)
        entries: list[Entry] = [{**entry, "service": service} for entry in found["entries"]]
        answered_by = found["service"]
        _check(entries)
    except (ValueError, LookupError, TypeError):
        raise _NoAnswerError("what answers is no worker") from None
    if answered_by != service:
        raise _NoAnswerError(f"its port is {answered_by}'s now")
    return entries


def _check(entries: list[Entry]) -> None:
    for entry in entries:
        datetime.fromisoformat(entry["at"])
        _ = entry["step"], entry["event"], entry["round"], entry["process_instance"]


def _details(entry: Entry) -> str:
    parts = [
        "IN DOUBT: it isn't known whether the engine counts it" if entry.get("in_doubt") else "",
        str(entry.get("code") or ""),
        str(entry.get("message") or ""),
        f"each {entry['each']}" if entry.get("each") else "",
        "remote" if entry.get("remote") else "",
    ]
    return ", ".join(part for part in parts if part)


def _plain(value: object) -> str:
    """Text without rich's markup and without control characters: a key may hold either."""
    from rich.markup import escape  # noqa: PLC0415

    return escape("".join(c if c.isprintable() else "?" for c in str(value)))


def _in_words(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return f"it took longer than {_PATIENCE.total_seconds():g} s"
    return str(getattr(reason, "strerror", None) or reason)
