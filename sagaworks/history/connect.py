"""From `SAGAWORKS_HISTORY` to the history that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagaworks.errors import ConfigurationError
from sagaworks.history.camunda import CamundaHistory
from sagaworks.history.operate import OperateHistory
from sagaworks.history.remote import HttpHistory
from sagaworks.settings import history_url

if TYPE_CHECKING:
    from sagaworks.history.port import History


def connect(url: str, *, token: str | None = None) -> History:
    """Return the history at a URL; nothing is sent yet.

    Args:
        url: ``http://host:port``, where `sagaworks history` listens;
            ``camunda+http://[user:password@]host:port``, the search API of Camunda 8.8 and later;
            ``operate+http://user:password@host:port``, the API of Camunda Operate.
        token: the one that it was started with, if it was.

    Raises:
        ConfigurationError: nothing can be asked at this URL; says what it should be.
    """
    try:
        kind, plus, scheme = history_url(url).partition("://")[0].rpartition("+")
    except ValueError as error:
        raise ConfigurationError(f"SAGAWORKS_HISTORY: {error}") from None
    place = f"{scheme}://{url.partition('://')[2]}"
    if not plus:
        return HttpHistory(place, token=token)
    return OperateHistory(place) if kind == "operate" else CamundaHistory(place)
