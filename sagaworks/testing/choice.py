"""Which engine ``--zeebe`` means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sagaworks.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagaworks.settings import Settings
    from sagaworks.testing.engines import EngineUnderTest


def choose_engine(
    name: str, receiver_port: int, settings: Settings, note: Callable[[str], None]
) -> EngineUnderTest:
    """Return the engine; nothing is started before a test begins on it.

    Args:
        name: ``embedded``, ``broker`` or ``HOST:PORT``.
        receiver_port: where a cluster's exporter sends to.
        settings: versions, cache, credentials.
        note: told what a person may want to know, a line at a time.

    Raises:
        ConfigurationError: there is no such engine.
    """
    if name == "embedded":
        from sagaworks.testing.embedded.engine import EmbeddedEngine  # noqa: PLC0415

        return EmbeddedEngine(settings.engine_cache, note)
    if name == "broker":
        from sagaworks.testing.broker.engine import BrokerEngine  # noqa: PLC0415

        return BrokerEngine(settings, note)
    if re.fullmatch(r"\S+:\d{1,5}", name):
        from sagaworks.testing.broker.cluster import ClusterEngine  # noqa: PLC0415

        return ClusterEngine(name, receiver_port, settings, note)
    raise ConfigurationError(f"--zeebe={name}: is none of embedded, broker and HOST:PORT")
