"""An event loop on a thread of its own: workers run on it while tests, which are plain, wait."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Result = TypeVar("Result")

_ANSWER_SECONDS: Final = 60.0


class Loop:
    """Runs coroutines for a thread that isn't asynchronous."""

    def __init__(self) -> None:
        """Start the thread."""
        self._begun: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="zeebe fixture", daemon=True
        )
        self._thread.start()

    def run(
        self, coroutine: Coroutine[Any, Any, Result], seconds: float = _ANSWER_SECONDS
    ) -> Result:
        """Run a coroutine to its end, return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    def begin(self, coroutine: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Begin a coroutine that goes on by itself."""

        async def begin() -> asyncio.Task[Result]:
            task = asyncio.create_task(coroutine)
            self._begun.add(task)  # the loop itself keeps a weak reference only
            task.add_done_callback(self._begun.discard)
            return task

        return self.run(begin())

    def call(self, function: Callable[[], Result]) -> Result:
        """Call a function on the loop's thread, return its result."""

        async def call() -> Result:
            return function()

        return self.run(call())

    def end(self, task: asyncio.Task[Any], seconds: float) -> None:
        """Cancel what has been begun, and wait until it has ended."""

        async def end() -> None:
            task.cancel()
            await asyncio.wait({task}, timeout=seconds)

        self.run(end())

    def end_all(self, seconds: float) -> None:
        """Cancel everything that runs on the loop, the jobs that workers have in hand too."""

        async def end_all() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=seconds)

        self.run(end_all())

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
