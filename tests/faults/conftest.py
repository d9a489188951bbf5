"""A wire full of faults between a worker and a scripted gateway, for each test its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sagaworks.testing import ScriptedGateway
from sagaworks.testing.faults import Faults
from tests.runtime.shop import Shop, new_shop


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
async def one_loop(anyio_backend: str) -> None:
    """Keep one event loop for all tests: gRPC tells it of calls that end a moment after theirs."""


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    async with ScriptedGateway() as gateway:
        yield gateway


@pytest.fixture
def faults(gateway: ScriptedGateway) -> Iterator[Faults]:
    """Each fault that a test asks for must have happened when it ends."""
    with Faults(gateway.address, seed=1) as faults:
        yield faults


@pytest.fixture
async def shop(gateway: ScriptedGateway, faults: Faults, tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop whose worker reaches the engine over the wire."""
    shop = new_shop(gateway, tmp_path)
    shop.settings = shop.settings_with(zeebe_address=faults.address)
    yield shop
    shop.store.close()
