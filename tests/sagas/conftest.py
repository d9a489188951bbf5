"""The real engine, the four workers as processes, the simulated carrier: once a session."""

import os
import time
from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console

from demo.home import Home
from demo.plan import make_plan
from demo.system import System
from sagaworks.project import Project
from tests.sagas.shop import Shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = Home(tmp_path_factory.mktemp("shop") / "demo")
    console = Console(file=StringIO())
    system = System(Project.load(), home, console, os.environ.get("ENGINE") or None)
    system.clear()
    try:
        yield Shop(system, make_plan(40, seed=3, prefix=f"plan-{time.time_ns():x}"))
    finally:
        system.stop(train=False)


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key of the test's own; a cluster that isn't ours keeps those of earlier runs."""
    return f"{request.node.name[:80]}-{time.time_ns():x}"
