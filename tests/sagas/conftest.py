"""place_order twice: in the test's own process on each engine, and as processes on the broker."""

import os
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from io import StringIO

import pytest
from rich.console import Console

from demo.carrier_stub import Carrier, Server
from demo.home import Home
from demo.plan import make_plan
from demo.system import System
from models.inventory import Stock
from models.payments import Card
from sagaworks.project import Project
from sagaworks.testing import Zeebe
from tests.sagas.shop import Shop
from workers.inventory import inventory
from workers.payments import payments


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


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> Iterator[Carrier]:
    """The simulated carrier, whom the shipping service calls."""
    carrier = Carrier()
    with Server(carrier) as server:
        monkeypatch.setenv("CARRIER_URL", server.url)
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield carrier
        server.shutdown()
        serving.join()


@pytest.fixture
def stocked(zeebe: Zeebe, carrier: Carrier) -> Zeebe:
    """Ten lamps, a card with money and one whose holder must approve; no worker runs yet."""
    rich = {"balance": Decimal(100), "opened_with": Decimal(100)}
    with zeebe.session(inventory) as session:
        session.add(Stock(sku="lamp", available=10, received=10))
    with zeebe.session(payments) as session:
        session.add(Card(number="card-01", **rich))
        session.add(Card(number="card-slow", needs_approval=True, **rich))
    return zeebe
