"""A cluster that someone else runs, at ZEEBE_ADDRESS."""

import asyncio

from sagaworks.errors import EngineError
from sagaworks.settings import Settings

_REMEDY = "start it, correct ZEEBE_ADDRESS, or unset it for an engine of our own"


def version_of(settings: Settings) -> str:
    """Ask the cluster which version it runs.

    Raises:
        EngineError: it does not answer.
    """
    try:
        return asyncio.run(_ask(settings))
    except EngineError as error:
        raise EngineError(f"{error}; {_REMEDY}") from error


async def _ask(settings: Settings) -> str:
    # Only here is pyzeebe needed, half a second to import: a local engine is up without it.
    from sagaworks.runtime.gateway import connect  # noqa: PLC0415

    async with connect(settings) as gateway:
        return await gateway.topology()
