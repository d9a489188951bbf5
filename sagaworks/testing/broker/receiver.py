"""A small receiver in the test's process for what the engine's shipped exporter sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sagaworks.history.keeping.exporter import EXPORTER, KEPT, answer, settings_for
from sagaworks.history.keeping.unread import Unread
from sagaworks.history.keeping.web import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagaworks.history.keeping.web import Answer, Request

__all__ = ["EXPORTER", "Receiver", "exporter_settings"]

_ALSO: Final = ("jobBatch", "timer", "message")
"""What tests see beside history's own: who asked for jobs, what is due, and our own marker."""


def exporter_settings(url: str) -> dict[str, object]:
    """Return the broker's settings that send records to a receiver at `url`, each at once."""
    return settings_for(url, kinds=(*KEPT, *_ALSO), size=1)


class Receiver:
    """Takes records for whoever listens at the moment; none listening, they are dropped.

    Args:
        port: 0 for a free one.
    """

    def __init__(self, port: int = 0) -> None:
        """Listen on loopback.

        Raises:
            OSError: the port is taken.
        """
        self.take: Callable[[dict[str, Any]], None] | None = None
        self.received = 0
        self._server = WebServer("127.0.0.1", port, self._answer)

    @property
    def url(self) -> str:
        """Where the exporter sends to."""
        return f"http://127.0.0.1:{self._server.port}"

    def close(self) -> None:
        """Listen no more."""
        self._server.close()

    def _answer(self, request: Request) -> Answer:
        return answer(request, self._bulk)

    def _bulk(self, records: list[dict[str, Any] | Unread]) -> None:
        for record in records:
            assert not isinstance(record, Unread), record  # noqa: S101  a test's engine is known
            self.received += 1
            if self.take:
                self.take(record)
