"""What a script does to calls: lets them pass, refuses, delays or holds them, loses a reply."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc

from sagaworks.testing.gateway.demands import Refused

Act = Callable[[], Awaitable[Any]]
"""What the gateway does about a call when nothing is scripted."""


class Fault(ABC):
    """What a script does to one call; each object stands for one call only."""

    @abstractmethod
    async def play(self, act: Act) -> Any:  # noqa: ANN401  the reply of any method
        """Do what is scripted, around `act`."""


@dataclass(eq=False)
class Pass(Fault):
    """Nothing unusual: a call that the script lets through."""

    async def play(self, act: Act) -> Any:  # noqa: ANN401
        """Act."""
        return await act()


@dataclass(eq=False)
class Fail(Fault):
    """Refuse the call without acting on it."""

    code: grpc.StatusCode
    details: str = "scripted"

    async def play(self, act: Act) -> Any:  # noqa: ANN401, ARG002
        """Refuse."""
        raise Refused(self.code, self.details)


@dataclass(eq=False)
class LoseReply(Fault):
    """Act on the call, and lose what it was answered."""

    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    details: str = "scripted: the reply is lost"

    async def play(self, act: Act) -> Any:  # noqa: ANN401
        """Act, and refuse."""
        await act()
        raise Refused(self.code, self.details)


@dataclass(eq=False)
class Delay(Fault):
    """Answer after a time; the engine acts after it too, or (`acted`) before."""

    seconds: float
    acted: bool = False

    async def play(self, act: Act) -> Any:  # noqa: ANN401
        """Act and sleep, in the order asked for."""
        reply = await act() if self.acted else None
        await asyncio.sleep(self.seconds)
        return reply if self.acted else await act()


@dataclass(eq=False)
class Hold(Fault):
    """Answer when the test says so: await `reached`, later call `release`."""

    acted: bool = False
    _reached: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _released: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    async def reached(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109  short for the test
        """Wait until a call is held.

        Raises:
            TimeoutError: none came.
        """
        async with asyncio.timeout(timeout):
            await self._reached.wait()

    def release(self) -> None:
        """Let the call go on."""
        self._released.set()

    async def play(self, act: Act) -> Any:  # noqa: ANN401
        """Act before or after being held."""
        reply = await act() if self.acted else None
        self._reached.set()
        await self._released.wait()
        return reply if self.acted else await act()


@dataclass(eq=False, slots=True)
class Script:
    """Faults for calls of one method, in their order; an endless one repeats its only fault."""

    faults: deque[Fault]
    when: Callable[[Any], bool]
    endless: bool = False
    met: int = 0

    def next(self) -> Fault:
        """Return the fault for one more call."""
        self.met += 1
        return self.faults[0] if self.endless else self.faults.popleft()


class Scripts:
    """The scripts of all methods; the oldest that has a fault for a call is played."""

    def __init__(self) -> None:
        self._scripts: dict[str, list[Script]] = defaultdict(list)

    def add(
        self,
        method: str,
        faults: Iterable[Fault],
        when: Callable[[Any], bool],
        *,
        endless: bool = False,
    ) -> Script:
        """Play `faults` on the calls of `method` whose request `when` says yes to."""
        script = Script(deque(faults), when, endless)
        self._scripts[method].append(script)
        return script

    def remove(self, method: str, script: Script) -> None:
        """Play a script no more."""
        self._scripts[method].remove(script)

    def next_fault(self, method: str, request: Any) -> Fault | None:  # noqa: ANN401  any message
        """Return what the scripts do to a call, if anything."""
        for script in self._scripts[method]:
            if script.faults and script.when(request):
                return script.next()
        return None

    def left(self) -> list[str]:
        """Return what was scripted and hasn't happened, as ``CompleteJob: Fail(...)``."""
        scripts = [(method, script) for method, made in self._scripts.items() for script in made]
        return [f"{method}: {fault}" for method, script in scripts for fault in script.faults]
