"""Moments as Camunda's own APIs write them."""

from datetime import datetime, timedelta
from typing import Final

_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def millis_of(text: str) -> int:
    """Return milliseconds since 1970 of ``2026-01-02T10:00:00.123+0000`` and the like."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
