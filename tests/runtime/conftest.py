"""A scripted gateway and a shop beside it, for each test of the runtime its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from loguru import logger

from sagaworks.testing import ScriptedGateway
from tests.runtime.shop import Shop, new_shop


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    """A gateway whose whole script must have happened when the test ends."""
    async with ScriptedGateway() as gateway:
        yield gateway
        gateway.assert_script_done()


@pytest.fixture
async def shop(gateway: ScriptedGateway, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = new_shop(gateway, tmp_path)
    yield shop
    shop.store.close()


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Every line logged, as ``LEVEL text``."""
    lines: list[str] = []
    sink = logger.add(lines.append, format="{level} {message}", level="DEBUG", diagnose=False)
    yield lines
    logger.remove(sink)
