"""Deploying: what an engine says that has just become ready, and what any other says."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from grpc import StatusCode

from sagaworks.project import Project
from sagaworks.runtime import gateway as commands
from sagaworks.runtime.gateway import EngineUnreachableError, connect
from sagaworks.settings import Settings
from sagaworks.testing import Fail, ScriptedGateway

pytestmark = pytest.mark.anyio

UNAWARE = (
    "Expected to execute command on partition 1, but either it does not exist, or the gateway is"
    " not yet aware of it"
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def engine() -> AsyncIterator[ScriptedGateway]:
    async with ScriptedGateway() as engine:
        yield engine


def diagram() -> Path:
    return Project.load().diagram_files()[0]


async def deploy(engine: ScriptedGateway) -> list[commands.Deployed]:
    async with connect(replace(Settings.load({}), zeebe_address=engine.address)) as gateway:
        return await gateway.deploy([diagram()])


async def test_an_engine_that_has_just_become_ready_is_given_a_moment(
    engine: ScriptedGateway,
) -> None:
    engine.script("DeployResource", [Fail(StatusCode.UNAVAILABLE, UNAWARE)] * 2)

    [deployed] = await deploy(engine)

    assert deployed.version == 1
    engine.assert_script_done()


async def test_an_engine_that_stays_unaware_is_told(
    engine: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "AWARE_WITHIN", 0.0)
    engine.script("DeployResource", [Fail(StatusCode.UNAVAILABLE, UNAWARE)] * 2)

    with pytest.raises(EngineUnreachableError, match="not yet aware"):
        await deploy(engine)


async def test_an_engine_that_is_away_is_told_at_once(engine: ScriptedGateway) -> None:
    engine.script("DeployResource", [Fail(StatusCode.UNAVAILABLE, "connection refused")] * 2)

    with pytest.raises(EngineUnreachableError, match="connection refused"):
        await deploy(engine)

    assert len([call for call in engine.calls if call.method == "DeployResource"]) == 1
