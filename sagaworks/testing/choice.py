"""Which engine ``--zeebe`` means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagaworks.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagaworks.settings import Settings
    from sagaworks.testing.engines import EngineUnderTest


def choose_engine(name: str, settings: Settings, note: Callable[[str], None]) -> EngineUnderTest:
    """Return the engine; nothing is started before a test begins on it.

    Raises:
        ConfigurationError: there is no such engine.
    """
    if name == "embedded":
        from sagaworks.testing.embedded.engine import EmbeddedEngine  # noqa: PLC0415

        return EmbeddedEngine(settings.engine_cache, note)
    raise ConfigurationError(f"--zeebe={name}: embedded, broker or HOST:PORT")
