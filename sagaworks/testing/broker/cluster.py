"""A cluster that someone else runs, as the fixture uses it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from sagaworks.engine.cluster import version_of
from sagaworks.errors import ConfigurationError, EngineError
from sagaworks.testing.broker.leftovers import Leftovers
from sagaworks.testing.broker.receiver import EXPORTER, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagaworks.settings import Settings
    from sagaworks.testing.feed import Feed


class ClusterEngine:
    """See `sagaworks.testing.engines.EngineUnderTest`.

    Args:
        address: of a gateway, ``host:port``.
        receiver_port: where this cluster's exporter sends its records to.
        settings: how to connect: TLS, credentials, tenant.
        note: told what a person may want to know.
    """

    moves_clock = False
    patience = 30.0
    quiet = 0.5

    def __init__(
        self, address: str, receiver_port: int, settings: Settings, note: Callable[[str], None]
    ) -> None:
        """Ask nothing yet."""
        self.name = address
        self._settings = replace(settings, zeebe_address=address)
        self._port = receiver_port
        self._note = note
        self._receiver: Receiver | None = None
        self._leftovers: Leftovers | None = None

    def begin(self, feed: Feed) -> str:
        """Give the records that come to `feed`.

        Raises:
            EngineError: nobody answers there.
            ConfigurationError: the receiver's port is taken.
        """
        if self._leftovers is None:
            self._note(f"{self.name} is Zeebe {version_of(self._settings)}")
            self._receiver = self._listen()
            self._leftovers = Leftovers(self._receiver, self._settings, self.name)
        self._leftovers.begin(feed)
        return self.name

    def finish(self) -> None:
        """Cancel what the test has left running."""
        if self._leftovers:
            self._leftovers.finish()

    def now(self) -> int:
        """Return this machine's clock; the cluster's may differ."""
        return time.time_ns() // 1_000_000

    def move_clock(self, millis: int) -> None:
        """Refuse: it's everybody's clock."""
        raise EngineError(f"the clock of {self.name} can't be moved by {millis} ms")

    def settle(self) -> None:
        """Wait until the records of all that has happened so far are here."""
        if self._leftovers:
            self._leftovers.catch_up()

    def openings(self, feed: Feed) -> Counter[str]:  # noqa: ARG002
        """Know nothing: a gateway doesn't tell."""
        return Counter()

    def await_openings(
        self,
        feed: Feed,  # noqa: ARG002
        enough: Callable[[Counter[str]], bool],  # noqa: ARG002
        within: float,  # noqa: ARG002
    ) -> bool:
        """Go on at once: a job that comes before its stream is found by the worker's polls."""
        return True

    def close(self) -> None:
        """Listen no more."""
        if self._receiver:
            self._receiver.close()

    def why_silent(self) -> str | None:
        """Say what to do if the cluster has sent no record at all."""
        if self._receiver is None or self._receiver.received:
            return None
        return (
            f"{self.name} has sent no record: give it the exporter {EXPORTER} with "
            f"args.url={self._receiver.url}, args.bulk.size=1 and args.index.jobBatch=true, or "
            "name the port that it sends to by --zeebe-receiver"
        )

    def _listen(self) -> Receiver:
        try:
            return Receiver(self._port)
        except OSError as error:
            why = f"--zeebe-receiver={self._port}: {error.strerror}"
            raise ConfigurationError(
                f"{why}; name a free port, the one that it sends to"
            ) from error
