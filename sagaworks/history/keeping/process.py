"""`sagaworks history` as a process: signals, log, pruning."""

from __future__ import annotations

import gc
import signal
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from loguru import logger

from sagaworks.history.keeping.server import HistoryServer
from sagaworks.history.keeping.store import KeptHistory
from sagaworks.history.port import HistoryUnavailable
from sagaworks.observe.logs import set_up_logs

if TYPE_CHECKING:
    from sagaworks.settings import Settings

SERVICE: Final = "history"
"""What its database is named after, like a service's: `HISTORY_DATABASE_URL`."""

# A batch is thousands of small objects, none of them in a cycle: looking for cycles as often as
# Python does by itself costs a sixth of all (measured).
_COLLECT_AFTER: Final = 100_000

_PRUNE_EVERY: Final = timedelta(minutes=10)


def run_history(settings: Settings, host: str, port: int, keep: timedelta) -> None:
    """Keep history until SIGTERM or SIGINT.

    Args:
        settings: `HISTORY_DATABASE_URL`, else a file of its own; `SAGAWORKS_TOKEN`; the log's.
        host: where to listen.
        port: 0 for a free one.
        keep: how long what has ended is kept.

    Raises:
        ConfigurationError: it can't begin; says why.
    """
    gc.set_threshold(_COLLECT_AFTER)
    set_up_logs(settings, SERVICE)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings.data.mkdir(parents=True, exist_ok=True)
    history = KeptHistory(settings.database_url(SERVICE))
    history.prepare()
    server = HistoryServer(history, host, port, settings.token)
    logger.info("history at {}, kept in {}", server.url, history.name)
    try:
        while not stop.is_set():
            _prune(server, keep, stop)
            stop.wait(_PRUNE_EVERY.total_seconds())
    finally:
        server.close()
        history.close()
        logger.info("stopped")


def _prune(server: HistoryServer, keep: timedelta, stop: threading.Event) -> None:
    before = time.time() - keep.total_seconds()
    try:
        count = server.history.prune(int(before * 1000), stop.is_set)
    except HistoryUnavailable as error:
        logger.warning("nothing is pruned now: {}", error)
        return
    server.metrics.pruned.inc(count)
    if count:
        logger.info("{} records forgotten, of what ended more than {} ago", count, keep)
