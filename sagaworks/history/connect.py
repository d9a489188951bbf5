"""From `SAGAWORKS_HISTORY` to the history that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagaworks.errors import ConfigurationError
from sagaworks.history.remote import HttpHistory
from sagaworks.settings import history_url

if TYPE_CHECKING:
    from sagaworks.history.port import History


def connect(url: str, *, token: str | None = None) -> History:
    """Return the history at a URL; nothing is sent yet.

    Args:
        url: ``http://host:port``, where `sagaworks history` listens.
        token: the one that it was started with, if it was.

    Raises:
        ConfigurationError: nothing can be asked at this URL; says what it should be.
    """
    try:
        return HttpHistory(history_url(url), token=token)
    except ValueError as error:
        raise ConfigurationError(f"SAGAWORKS_HISTORY: {error}") from None
