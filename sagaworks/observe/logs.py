"""A worker's log: loguru to stderr, as text or JSON, with the saga's context and no data."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC
from typing import TYPE_CHECKING, Final

from loguru import logger

from sagaworks.errors import SagaworksError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loguru import Record

    from sagaworks.observe.gathering import Gathering
    from sagaworks.settings import Settings

CONTEXT: Final = (
    "saga",
    "step",
    "attempt",
    "outcome",
    "process_instance",
    "element",
    "job",
    "code",
)
"""The bound fields that are shown; anything else that is bound stays out of the log."""

_IN_TEXT: Final = ("saga", "step", "attempt", "outcome")

_TIME: Final = slice(len("2026-11-26T"), len("2026-11-26T12:00:00.000"))
"""Where the time of day is in an ISO 8601 moment with milliseconds."""

_encode: Final = json.JSONEncoder(default=str, ensure_ascii=False).encode

# Their messages speak of code or of the system. Any other error's message may hold a customer's
# data ("KeyError: '4111 1111…'", an SQL statement with its parameters), so only its type and
# place are logged, unless the level is DEBUG.
_SAFE_ERRORS: Final = (SagaworksError, NameError, AttributeError, ImportError, TypeError)

_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}

# What is logged comes in by name: loguru would read braces and tags in the template itself.
_TEXT: Final = "{extra[_head]} <level>{level: <7}</level> {extra[_line]}\n"
_JSON: Final = "{extra[_line]}\n"


def set_up_logs(settings: Settings, service: str, stream: Gathering | None = None) -> None:
    """Send loguru's and the standard library's log to stderr, in the chosen format and level.

    Text, one line a record:  ``time level service saga step #attempt outcome message``.
    JSON: one object a line with ``time level service message`` and the fields of `CONTEXT`.
    """
    secrets = [secret for secret in (settings.token, settings.zeebe_client_secret) if secret]
    shows_messages = settings.log_level in ("TRACE", "DEBUG")
    as_text = settings.log_format == "text"
    write = _text_lines if as_text else _json_lines

    def template(record: Record) -> str:
        extra = record["extra"]
        extra["_head"], line = write(record, service, shows_messages=shows_messages)
        extra["_line"] = _masked(line, secrets)
        return _TEXT if as_text else _JSON

    logger.remove()
    to = stream or sys.stderr
    logger.add(to, level=settings.log_level, format=template, backtrace=False, diagnose=False)
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)


def describe_error(error: BaseException, *, shows_messages: bool = False) -> str:
    """Return the traceback with its chain, as places and source lines, without any value."""
    parts = []
    for link, joint in _chain(error):
        frames = "".join(traceback.format_tb(link.__traceback__))
        parts.append(f"Traceback:\n{frames}{_headline(link, shows_messages=shows_messages)}{joint}")
    return "\n".join(parts)


class _ToLoguru(logging.Handler):
    """Hands the standard library's records (gRPC, SQLAlchemy, Alembic) to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        level: str | int = record.levelname if record.levelno in _STANDARD else record.levelno
        text = f"{record.name}: {record.getMessage()}"
        logger.opt(exception=record.exc_info).log(level, "{}", text)


_STANDARD: Final = frozenset({10, 20, 30, 40, 50})


def _text_lines(record: Record, service: str, *, shows_messages: bool) -> tuple[str, str]:
    extra = record["extra"]
    fields = [
        f"#{extra[name]}" if name == "attempt" else str(extra[name])
        for name in _IN_TEXT
        if extra.get(name) is not None
    ]
    line = " ".join((service, *fields, record["message"]))
    if not line.isprintable():
        line = line.translate(_CONTROL)
    error = _error_of(record)
    trace = f"\n{describe_error(error, shows_messages=shows_messages)}" if error else ""
    # A sixth of what `strftime` takes.
    return record["time"].isoformat(timespec="milliseconds")[_TIME], line + trace


def _json_lines(record: Record, service: str, *, shows_messages: bool) -> tuple[str, str]:
    extra = record["extra"]
    line: dict[str, object] = {
        "time": record["time"].astimezone(UTC).isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "service": service,
        "message": record["message"],
    }
    line |= {name: extra[name] for name in CONTEXT if extra.get(name) is not None}
    error = _error_of(record)
    if error:
        line["trace"] = describe_error(error, shows_messages=shows_messages)
    return "", _encode(line)


def _error_of(record: Record) -> BaseException | None:
    return record["exception"].value if record["exception"] else None


def _headline(error: BaseException, *, shows_messages: bool) -> str:
    kind = type(error).__name__
    if shows_messages or isinstance(error, _SAFE_ERRORS):
        return f"{kind}: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{kind}: {error.strerror}"
    withheld = "message withheld, it may hold data; SAGAWORKS_LOG_LEVEL=DEBUG shows it"
    return f"{kind} ({withheld})" if str(error) else kind


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """The oldest cause first, as Python prints it."""
    links = [error]
    while (cause := _cause(links[-1])) and cause not in links:
        links.append(cause)
    for number, link in enumerate(reversed(links), start=1):
        yield link, "\n\nwhich led to:\n" if number < len(links) else ""


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ or error.__suppress_context__:
        return error.__cause__
    return error.__context__


def _masked(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
