"""Cancelling one saga: by the way that its diagram draws, else by engine and reconcilers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from sagaworks.audit.difference import What
from sagaworks.cancel.way import CancelWay, cancel_ways
from sagaworks.errors import ConfigurationError, SagaworksError
from sagaworks.history.deployed import read_deployed
from sagaworks.history.port import unread_of
from sagaworks.reconcile.evidence import ENDED, TERMINATED
from sagaworks.runtime.backoff import Backoff
from sagaworks.runtime.gateway import connect
from sagaworks.saga import KEY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sagaworks.audit import Books, Difference
    from sagaworks.history import Element, History, Instance
    from sagaworks.settings import Settings

CAUGHT_WITHIN: Final = timedelta(seconds=10)
"""How long history is given to show that a message was caught; it's there within a second."""


class Fate(Enum):
    """What became of a saga that was to be cancelled."""

    UNDONE = auto()
    """It has ended, and nothing of it is left to undo."""
    LEFT = auto()
    """It has ended, and something isn't undone yet, or can't be."""
    GOES_ON = auto()
    """Its diagram says that it's too late."""
    NOT_CAUGHT = auto()
    """Nothing took the message, and nothing keeps it."""
    UNKNOWN = auto()
    """It hadn't ended when the wait was over."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of it.

    Attributes:
        way: the modelled way; None where the engine's cancel was used.
        ended_at: where its diagram said that it's too late.
        undone: steps that were undone, as ``service.step``.
        left: what isn't undone.
    """

    fate: Fate
    way: CancelWay | None
    ended_at: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    left: tuple[Difference, ...] = field(default=())


def cancel_saga(  # noqa: PLR0913  whom to ask, and how long
    key: str,
    *,
    history: History,
    books: Sequence[Books],
    settings: Settings,
    wait: timedelta,
    message: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Cancelled:
    """Cancel a running saga, and wait until nothing of it is left to undo.

    Args:
        key: the business key.
        history: the engine's, which knows the saga's instance and diagram.
        books: of the services, to see what is undone.
        settings: which engine.
        wait: how long; what isn't done by then is told.
        message: which of several modelled ways.
        tell: told in words what is done.

    Raises:
        SagaworksError: it can't be cancelled, and nothing was done: unknown, ended, past its pivot,
            two with one key, called by another, or its diagram isn't known, or a record of it
            couldn't be read.
        EngineError, HistoryUnavailable: they can't be asked.
    """
    instance = _running(history, key)
    diagram = history.diagram(instance.key)
    if diagram is None:
        raise SagaworksError(
            f"{key}: history has no diagram of it, so it isn't known whether its pivot is done;"
            " nothing was cancelled: deploy diagrams while history listens"
        )
    _refuse_past_pivot(history, instance, diagram)
    if missing := unread_of(history, [instance.key]).get(instance.key):
        raise SagaworksError(
            f"{key}: {missing}; so it isn't known whether its pivot is done, and nothing was"
            " cancelled"
        )
    way = _choose(cancel_ways(diagram, instance.process), message, key)
    cancelling = _Cancelling(history, instance, books, settings, time.monotonic() + _seconds(wait))
    if way:
        tell(f"{key}: cancelled as its diagram draws it, by message {way.message}")
        return cancelling.by_message(way)
    tell(
        f"{key}: its diagram draws no way to be cancelled: process instance {instance.key} is"
        " cancelled, and each service's reconciler undoes"
    )
    return cancelling.by_engine()


class _Cancelling:
    def __init__(
        self,
        history: History,
        instance: Instance,
        books: Sequence[Books],
        settings: Settings,
        until: float,
    ) -> None:
        self._history = history
        self._instance = instance
        self._key = instance.business_key or ""
        self._books = books
        self._settings = settings
        self._until = until

    def by_engine(self) -> Cancelled:
        async def cancel() -> None:
            async with connect(self._settings) as gateway:
                await gateway.cancel(self._instance.key)

        asyncio.run(cancel())
        return self._wait_for_end(None)

    def by_message(self, way: CancelWay) -> Cancelled:
        before = {one.key for one in self._begun(way)}

        async def publish() -> None:
            async with connect(self._settings) as gateway:
                # Kept for nobody: what isn't caught now must not be caught later.
                await gateway.publish(way.message, self._key, {}, lasts=timedelta())

        asyncio.run(publish())
        # However short the wait: "not caught" mustn't be said too early.
        caught_by = time.monotonic() + _seconds(CAUGHT_WITHIN)
        pause = Backoff(0.1, 0.5)
        while not (begun := [one for one in self._begun(way) if one.key not in before]):
            if time.monotonic() > caught_by or self._has_ended():
                return Cancelled(Fate.NOT_CAUGHT, way)
            time.sleep(pause.next())
        return self._wait_for_end(way, begun[-1])

    def _wait_for_end(self, way: CancelWay | None, begun: Element | None = None) -> Cancelled:
        pause = Backoff(0.1, 1.0)
        while not self._has_ended():
            if begun and way and not way.interrupts and (at := self._said_no(begun)):
                return Cancelled(Fate.GOES_ON, way, ended_at=at)
            if time.monotonic() > self._until:
                return Cancelled(Fate.UNKNOWN, way)
            time.sleep(pause.next())
        pause = Backoff(0.1, 1.0)
        while left := self._left():
            if time.monotonic() > self._until or not any(map(_may_pass, left)):
                return Cancelled(Fate.LEFT, way, undone=self._undone(), left=left)
            time.sleep(pause.next())
        return Cancelled(Fate.UNDONE, way, undone=self._undone())

    def _has_ended(self) -> bool:
        found = self._history.instance(self._instance.key)
        return found is not None and found.last in {ENDED, TERMINATED}

    def _begun(self, way: CancelWay) -> list[Element]:
        elements = self._history.elements(self._instance.key)
        return [one for one in elements if one.id == way.sub_process]

    def _said_no(self, begun: Element) -> tuple[str, ...]:
        """Return where the way has ended by itself; nothing while it goes on or has thrown."""
        elements = self._history.elements(self._instance.key)
        if not any(one.key == begun.key and one.last == ENDED for one in elements):
            return ()
        inside = [one for one in elements if one.scope == begun.key and one.kind == "END_EVENT"]
        return tuple(one.id for one in inside) or (begun.id,)

    def _left(self) -> tuple[Difference, ...]:
        return tuple(one for books in self._books for one in books.of_saga(self._key))

    def _undone(self) -> tuple[str, ...]:
        steps = (f"{b.service.name}.{step}" for b in self._books for step in b.undone(self._key))
        return tuple(dict.fromkeys(steps))


def _may_pass(left: Difference) -> bool:
    """Whether a reconciler may still settle it: history's records come a moment late."""
    return left.can_be_mended or left.what in {What.IN_DOUBT, What.OPEN_INTENT}


def _running(history: History, key: str) -> Instance:
    known = history.instances(key)
    running = [one for one in known if one.ended is None]
    if not known:
        raise SagaworksError(f"{key}: the engine's history knows no saga with this key")
    if not running:
        how = "was cancelled" if known[-1].last == TERMINATED else "has ended"
        raise SagaworksError(f"{key}: it {how} already; see `sagaworks trail {key}`")
    if len(running) > 1:
        both = " and ".join(str(one.key) for one in running)
        raise SagaworksError(
            f"{key}: process instances {both} run with this key, and nothing was cancelled;"
            " cancel the one that is a mistake, in Operate"
        )
    if running[0].parent is not None:
        raise SagaworksError(
            f"{key}: process instance {running[0].parent} has called it, and only that one can be"
            " cancelled; nothing was"
        )
    return running[0]


def _refuse_past_pivot(history: History, instance: Instance, diagram: bytes) -> None:
    pivots = read_deployed(diagram).pivots
    done = [
        one.id for one in history.elements(instance.key) if one.id in pivots and one.last == ENDED
    ]
    if done:
        raise SagaworksError(
            f"{instance.business_key}: it is past its pivot, {done[0]}, and can only go forward;"
            " nothing was cancelled"
        )


def _choose(ways: Sequence[CancelWay], message: str | None, key: str) -> CancelWay | None:
    """Return the modelled way, or None where the diagram draws none.

    Raises:
        ConfigurationError: there are several, or not this one, or its message isn't for the key.
    """
    names = ", ".join(way.message for way in ways) or "none"
    if message is not None:
        ways = [way for way in ways if way.message == message]
        if not ways:
            raise ConfigurationError(f"{key}: no way begins by message {message}; known: {names}")
    if len(ways) > 1:
        why = f"its diagram draws several ways to be cancelled, by {names}"
        raise ConfigurationError(f"{key}: {why}: name one by --message")
    for way in ways:
        if way.correlated_by != KEY_VARIABLE or not way.message or way.message.startswith("="):
            how = f"message {way.message or '?'} is correlated by {way.correlated_by or 'nothing'}"
            raise ConfigurationError(
                f"{key}: {how}, not by {KEY_VARIABLE}: publish it where its key is known"
            )
        return way
    return None


def _seconds(time_: timedelta) -> float:
    return time_.total_seconds()
