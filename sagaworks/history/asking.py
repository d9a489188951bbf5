"""Asking a server over HTTP: connections are kept, patience is short, failure is one line."""

from __future__ import annotations

import json
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as TookTooLongError

from sagaworks.history.port import HistoryUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Asked = ParamSpec("Asked")
Told = TypeVar("Told")

_PATIENCE: Final = urllib3.Timeout(connect=2.0, read=5.0)
_CONNECTIONS: Final = 8
"""Kept open; threads beyond open one for a moment."""


class Server:
    """A server that answers in JSON; from several threads at once.

    Args:
        url: ``http(s)://[user:password@]host[:port]``.
        headers: sent with each request.
        authorizes: user and password are sent with each request, as `Authorization: Basic`.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str] | None = None, *, authorizes: bool = True
    ) -> None:
        """Open nothing yet."""
        parts = urlsplit(url)
        account, _, place = parts.netloc.rpartition("@")
        self.name = f"{parts.scheme}://{place}"
        self.headers = {"Accept": "application/json", **(headers or {})}
        if account and authorizes:
            self.headers |= urllib3.make_headers(basic_auth=unquote(account))
        # A kept connection that the server has closed meanwhile is noticed before it's used.
        retries = urllib3.Retry(total=1, read=0, redirect=0, status=0, backoff_factor=0)
        self._pool = urllib3.PoolManager(
            maxsize=_CONNECTIONS, timeout=_PATIENCE, retries=retries, block=False
        )

    def get(self, path: str, **parameters: object) -> Any:  # noqa: ANN401  JSON
        """Return what the server says at this path.

        Raises:
            HistoryUnavailable: it says nothing, or refuses; why.
        """
        asked = {name: str(value) for name, value in parameters.items()}
        return self.ask("GET", path, fields=asked)

    def post(self, path: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401  JSON
        """Return what the server answers to a search.

        Raises:
            HistoryUnavailable: it says nothing, or refuses; why.
        """
        return self.ask("POST", path, json=body)

    def ask(self, method: str, path: str, **content: Any) -> Any:  # noqa: ANN401  JSON
        """Send one request and return its answer."""
        return self.read(self.send(method, path, **content))

    def content(self, path: str) -> bytes | None:
        """Return what is at this path as it is; None if nothing is.

        Raises:
            HistoryUnavailable: nobody answers, or refuses; why.
        """
        answer = self.send("GET", path, headers={**self.headers, "Accept": "*/*"})
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        self._demand_ok(answer)
        return answer.data

    def read(self, answer: urllib3.BaseHTTPResponse) -> Any:  # noqa: ANN401  JSON
        """Return what an answer says.

        Raises:
            HistoryUnavailable: it refuses, or isn't JSON; why.
        """
        self._demand_ok(answer)
        try:
            return json.loads(answer.data)
        except (ValueError, RecursionError):
            raise HistoryUnavailable(f"what answers at {self.name} is no history") from None

    def send(self, method: str, path: str, **content: Any) -> urllib3.BaseHTTPResponse:  # noqa: ANN401
        """Send one request and return the answer, whatever it is.

        Raises:
            HistoryUnavailable: nobody answers.
        """
        # `json=` of urllib3 sets headers of its own only where none are given.
        headers = content.pop("headers", self.headers)
        if "json" in content:
            headers = {**headers, "Content-Type": "application/json"}
        try:
            return self._pool.request(method, self.name + path, headers=headers, **content)
        except HTTPError as error:
            raise HistoryUnavailable(f"no history at {self.name}: {_in_words(error)}") from None

    def _demand_ok(self, answer: urllib3.BaseHTTPResponse) -> None:
        if answer.status != HTTPStatus.OK:
            raise HistoryUnavailable(f"history at {self.name} {_refused(answer)}")

    def close(self) -> None:
        """Close what is open."""
        self._pool.clear()


class AsksServer(Protocol):
    """A history whose answers come from a server.

    Attributes:
        api: what that server is expected to speak.
    """

    api: str
    _server: Server


Asking = TypeVar("Asking", bound=AsksServer)


def understood(
    ask: Callable[Concatenate[Asking, Asked], Told],
) -> Callable[Concatenate[Asking, Asked], Told]:
    """Make a question of a history's: an answer that isn't as its API says leaves nothing known.

    Raises:
        HistoryUnavailable: says what answers, and what was expected of it.
    """

    @wraps(ask)
    def asked(self: Asking, /, *args: Asked.args, **named: Asked.kwargs) -> Told:
        try:
            return ask(self, *args, **named)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise HistoryUnavailable(
                f"what answers at {self._server.name} is not {self.api} as this version knows it"
                f" ({type(error).__name__} in `{ask.__name__}`): see SAGAWORKS_HISTORY"
            ) from None

    return asked


def _refused(answer: urllib3.BaseHTTPResponse) -> str:
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "refuses: its token or password is another one"
    try:
        why = str(json.loads(answer.data)["error"])
    except (ValueError, LookupError, TypeError, RecursionError):
        why = answer.reason or "no reason given"
    return f"answers {answer.status}: {why}"


def _in_words(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, NewConnectionError):
        return "nobody listens there"
    if isinstance(reason, TookTooLongError):
        return "no answer in time"
    return str(reason).rpartition(": ")[2] or type(reason).__name__
