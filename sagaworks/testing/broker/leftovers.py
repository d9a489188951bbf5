"""Tests that share an engine: each sees its own records, and leaves nothing running behind."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.errors import EngineError
from sagaworks.runtime.gateway import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagaworks.saga import SagaKey
    from sagaworks.settings import Settings
    from sagaworks.testing.broker.receiver import Receiver
    from sagaworks.testing.feed import Feed

_ENDS_WITHIN: Final = 10.0
_ARRIVES_WITHIN: Final = 10.0
_MARKER: Final = "sagaworks-caught-up"


class Leftovers:
    """Between an engine that lives on and the tests that come and go.

    Args:
        receiver: where the engine's records come in.
        settings: how to connect.
        address: of the engine.
    """

    def __init__(self, receiver: Receiver, settings: Settings, address: str) -> None:
        """No test has begun."""
        self._receiver = receiver
        self._settings = replace(settings, zeebe_address=address)
        self._feed: Feed | None = None
        self._strangers: set[int] = set()
        self._markers: set[str] = set()

    def begin(self, feed: Feed) -> None:
        """Give records to this test's feed from now on."""
        self._feed = feed
        self._receiver.take = self._take

    def catch_up(self) -> None:
        """Wait until all that has happened so far is in the feed: a message of ours marks it.

        The exporter sends a partition's records in order; with several this is a good guess.
        """
        feed, marker = self._feed, uuid.uuid4().hex
        if feed:
            asyncio.run(self._publish(marker))
            feed.wait_for(lambda: marker in self._markers, _ARRIVES_WITHIN)
            self._markers.discard(marker)

    def finish(self) -> None:
        """Cancel the test's process instances that run, and wait until they have ended."""
        feed = self._feed
        if feed is None:
            return
        running = self._running(feed)
        if running:
            asyncio.run(self._cancel(running))
            feed.wait_for(lambda: not self._running(feed), _ENDS_WITHIN)
        self._strangers |= {one.key for one in feed.history.all_instances()}
        self._receiver.take = self._feed = None

    def _take(self, record: dict[str, Any]) -> None:
        """Pass a record on, unless it's about a saga of an earlier test."""
        feed = self._feed
        if feed and record["valueType"] == "MESSAGE" and record["value"]["name"] == _MARKER:
            self._markers.add(record["value"]["correlationKey"])
            feed.wake()
        elif feed and record["value"].get("processInstanceKey", -1) not in self._strangers:
            feed.take(record)

    def _running(self, feed: Feed) -> Sequence[SagaKey]:
        every = feed.history.all_instances()
        return [one.key for one in every if one.ended is None and one.parent is None]

    async def _publish(self, marker: str) -> None:
        request = pb.PublishMessageRequest(name=_MARKER, correlationKey=marker, timeToLive=0)
        async with connect(self._settings) as gateway:
            await gateway.stub.PublishMessage(request, timeout=_ARRIVES_WITHIN)

    async def _cancel(self, running: Sequence[SagaKey]) -> None:
        async with connect(self._settings) as gateway:
            for key in running:
                with contextlib.suppress(EngineError):  # it has ended meanwhile
                    await gateway.cancel(key)
