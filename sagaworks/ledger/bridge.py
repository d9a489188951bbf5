"""Between the ledger's plain functions and `async def` steps: SQLAlchemy's own bridge.

The protocol isn't written twice. For an `async def` task the very same functions run in a greenlet,
over an engine whose driver awaits; whatever would block, the driver, a pause, the probe, the step,
is awaited by the event loop meanwhile. Imported only where a service has such a task.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_, greenlet_spawn
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from sagaworks.errors import SagaworksError
from sagaworks.ledger.session import MAY_NOT_COMMIT, MAY_NOT_ROLL_BACK

R = TypeVar("R")


class StepAsyncSession(AsyncSession):
    """A session inside the ledger's transaction, which isn't the step's to end."""

    def __init__(self, plain: Session) -> None:
        """Await what `plain` does."""
        super().__init__(sync_session_class=lambda **_: plain)  # type: ignore[arg-type]

    async def commit(self) -> None:
        """Refuse: the effect and its ledger row commit together."""
        raise SagaworksError(MAY_NOT_COMMIT)

    async def rollback(self) -> None:
        """Refuse: raise an error to roll back everything."""
        raise SagaworksError(MAY_NOT_ROLL_BACK)


class Turn:
    """A lock for whoever runs in a greenlet; who waits for it lets the event loop go on."""

    def __init__(self) -> None:
        """Begin unlocked."""
        self._lock = asyncio.Lock()

    def __enter__(self) -> None:
        """Wait for the turn, after everybody who asked before."""
        await_(self._lock.acquire())

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Let the next one have it."""
        self._lock.release()


async def run(work: Callable[[], R]) -> R:
    """Run plain code that may `wait_for`; the event loop goes on meanwhile."""
    return await greenlet_spawn(work)


def wait_for(awaitable: Awaitable[R]) -> R:
    """Wait within `run`, without blocking the thread."""
    return await_(awaitable)


def pause(seconds: float) -> None:
    """Sleep within `run`."""
    await_(asyncio.sleep(seconds))


def aside(work: Callable[[], R]) -> R:
    """Run on a thread, within `run`, what would block the event loop."""
    return wait_for(asyncio.to_thread(work))


def call(function: Callable[..., Any], arguments: dict[str, Any]) -> object:
    """Call an `async def` step within `run`, a plain session in its arguments made awaitable."""
    given = {
        name: StepAsyncSession(value) if isinstance(value, Session) else value
        for name, value in arguments.items()
    }
    returned: object = await_(function(**given))
    return returned


def awaiting_engine(url: URL, options: dict[str, Any]) -> Engine:
    """Return an engine to be used within `run` only.

    Raises:
        ImportError: the driver, or greenlet, isn't installed.
    """
    return create_async_engine(url, **options).sync_engine
