"""Another company's HTTP interface, as a remote step calls it."""

from __future__ import annotations

import json
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, quote, urlsplit

from sagaworks.errors import Halt, Refusal, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sagaworks.saga import Saga

ANSWER_WITHIN: Final = 5.0
"""Seconds that a partner may take for an answer."""

LONGEST_ANSWER: Final = 100_000
"""Bytes of an answer that are read."""

_ANSWERS: Final = {HTTPStatus.UNPROCESSABLE_ENTITY, *range(200, 300)}
_ASK_AGAIN: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)}


class Partner:
    """A partner that remembers idempotency keys, and what its answers mean to a saga.

    Args:
        name: how a log calls it: ``the carrier``.
        url: tells where it is, each time it's asked.
        refusal: what its no is, status 422; the body's ``reason`` says why.
    """

    def __init__(self, name: str, url: Callable[[], str], *, refusal: type[Refusal]) -> None:
        """Ask nobody yet."""
        self.name = name
        self.url = url
        self.refusal = refusal

    def ask(
        self, method: str, path: str, saga: Saga, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send one request under the saga's idempotency key; return the partner's answer.

        Raises:
            Refusal: the partner says no (422); the one it was declared with.
            Retry: it says nothing in time, or that it can't answer now. Whether it acted is
                unknown, and the same key makes asking again harmless.
            Halt: it doesn't understand us, or its address can't be read.
        """
        # A header holds ASCII only, and a saga's name may be written in any script.
        key = quote(saga.idempotency_key, safe="%/<>:")
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        try:
            status, said = self._send(method, path, headers, json.dumps(body) if body else None)
        except (OSError, HTTPException) as error:
            raise Retry(f"no answer from {self.name}: {type(error).__name__}") from error
        if status in _ASK_AGAIN:
            raise Retry(f"{self.name} answers {status}")
        if status not in _ANSWERS:
            raise Halt(f"{self.name} answers {status}")
        answer = self._read(said)
        if status == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise self.refusal(str(answer.get("reason", "")))
        return answer

    def _send(
        self, method: str, path: str, headers: dict[str, str], body: str | None
    ) -> tuple[int, bytes]:
        url, port = self._place()
        kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
        with closing(kind(url.hostname or "", port, timeout=ANSWER_WITHIN)) as connection:
            connection.request(method, url.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            return response.status, response.read(LONGEST_ANSWER)

    def _place(self) -> tuple[SplitResult, int | None]:
        try:
            url = urlsplit(self.url())
            port = url.port
        except ValueError:
            # What is wrong with it isn't said: it may hold a password.
            why = f"the address of {self.name} can't be read"
            raise Halt(f"{why}: set it as http://host:port, and restart the worker") from None
        return url, port

    def _read(self, said: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(said or b"{}")
        except ValueError as error:
            raise Retry(f"the answer of {self.name} can't be read") from error
        return answer if isinstance(answer, dict) else {}
