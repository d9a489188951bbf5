"""Values as the engine keeps them: strict JSON, with the types that business data is made of."""

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from sagaworks.errors import SagaworksError

type_adapter = cache(TypeAdapter)

LARGEST: Final = 1_000_000
"""Bytes of an encoded value: Camunda advises 1 MB, the engine breaks at about 2 MB (measured)."""

DEEPEST: Final = 64
"""Levels of nesting. A deep value makes the gateway's parser fail, with all jobs of its batch."""

_LARGEST_INTEGER: Final = 2**63

_compact: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
"""Made once: `json.dumps` makes an encoder at each call that asks for more than it does itself."""

_TELLING: Final = frozenset(
    {"value_error", "assertion_error", "union_tag_invalid", "uuid_parsing", "url_parsing"}
)
"""pydantic's kinds of error whose message quotes the value, or is somebody's own text."""

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class UnencodableError(SagaworksError):
    """A value that can't be a process variable; the text names the place and the reason."""


class UnreadableError(SagaworksError):
    """A variable or fact that isn't of the declared type; the text names it, never its value."""


def to_json(value: object, *, place: str = "value") -> Json:
    """Return `value` as plain JSON data.

    Decimal, UUID, date, datetime, time -> text; timedelta -> ISO 8601 duration; Enum -> its value;
    pydantic and SQLModel models -> object.

    Raises:
        UnencodableError: NaN or infinity, an integer beyond 64 bits, a key that isn't text,
            more than `DEEPEST` levels, text that isn't valid Unicode, any other type.
    """
    return _plain(value, place, 0)


def encode(value: object, *, place: str = "value") -> bytes:
    """Return `value` as compact JSON in UTF-8; equal values are equal bytes, since keys are sorted.

    Raises:
        UnencodableError: as `to_json`, or more than `LARGEST` bytes.
    """
    encoded = _compact(_plain(value, place, 0)).encode()
    if len(encoded) > LARGEST:
        message = f"{place}: {len(encoded):,} bytes, at most {LARGEST:,} fit a process variable"
        raise UnencodableError(message)
    return encoded


def decode(annotation: object, plain: object, *, place: str = "") -> Any:  # noqa: ANN401  the annotation says it
    """Return JSON data as a value of the annotated type, strictly: ``"2"`` isn't an int.

    Raises:
        UnreadableError: naming `place`, if one is given, and what was expected.
    """
    return decode_bytes(annotation, json.dumps(plain).encode(), place=place)


def decode_text(annotation: object, text: str, *, place: str) -> Any:  # noqa: ANN401
    """Return text, as a URL has it, as a value of the annotated type: ``2`` may be an int.

    Raises:
        UnreadableError: naming `place` and what was expected.
    """
    try:
        return type_adapter(annotation).validate_strings(text)
    except ValidationError as error:
        raise UnreadableError(f"{place}: {_reasons(error)}") from None


def decode_bytes(annotation: object, encoded: bytes, *, place: str = "") -> Any:  # noqa: ANN401
    """Return encoded JSON as a value of the annotated type; see `decode`."""
    adapter = type_adapter(annotation)
    try:
        # A fact is written by its fields' names; what others write may follow the aliases.
        return adapter.validator.validate_json(encoded, strict=True, by_alias=True, by_name=True)
    except ValidationError as error:
        reasons = _reasons(error)
        raise UnreadableError(f"{place}: {reasons}" if place else reasons) from None


def readable(annotation: object) -> bool:
    """Say whether values of the annotated type can be read from JSON at all."""
    try:
        type_adapter(annotation)
    except Exception:  # noqa: BLE001  pydantic raises several kinds, all meaning no
        return False
    return True


def _plain(value: object, place: str, depth: int) -> Json:
    if depth > DEEPEST:
        raise UnencodableError(f"{place}: nested deeper than {DEEPEST} levels")
    if type(value) is dict:
        # What most values are made of; the other kinds are asked about one after the other.
        return _object(value, place, depth)
    if isinstance(value, Enum):
        return _plain(value.value, place, depth)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float, str)):
        return _scalar(value, place)
    if isinstance(value, (Decimal, UUID, datetime, date, time, timedelta)):
        return _as_text(value, place)
    return _container(value, place, depth)


def _scalar(value: float | str, place: str) -> Json:
    if isinstance(value, str):
        return _text(value, place)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnencodableError(f"{place}: {value} can't be written as JSON")
        return value
    if not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
        raise UnencodableError(f"{place}: an integer beyond 64 bits; send it as text")
    return value


def _text(value: str, place: str) -> str:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnencodableError(f"{place}: text with a lone surrogate isn't Unicode") from None
    return value


def _as_text(value: Decimal | UUID | date | time | timedelta, place: str) -> str:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise UnencodableError(f"{place}: {value} can't be written as JSON")
        return str(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, timedelta):
        return str(type_adapter(timedelta).dump_python(value, mode="json"))
    return value.isoformat()


def _container(value: object, place: str, depth: int) -> Json:
    if isinstance(value, BaseModel):
        return _plain(_dumped(value, place), place, depth)
    if isinstance(value, Mapping):
        return _object(value, place, depth)
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        return [_plain(item, f"{place}[{n}]", depth + 1) for n, item in enumerate(items)]
    raise UnencodableError(f"{place}: {type(value).__name__} has no JSON form; use a model or text")


def _dumped(model: BaseModel, place: str) -> object:
    try:
        # pydantic's warnings would print values; what reads a fact back notices what is wrong.
        return model.model_dump(mode="python", warnings=False)
    except ValueError:
        message = f"{place}: {type(model).__name__} contains itself, or is nested too deeply"
        raise UnencodableError(message) from None


def _object(value: Mapping[Any, object], place: str, depth: int) -> Json:
    names = {key: _name(key, place) for key in value}
    if len(set(names.values())) < len(names):
        raise UnencodableError(f"{place}: two keys are the same text in JSON")
    return {
        names[key]: _plain(item, f"{place}.{names[key]}", depth + 1) for key, item in value.items()
    }


def _name(key: object, place: str) -> str:
    plain = key.value if isinstance(key, Enum) else key
    if not isinstance(plain, str):
        raise UnencodableError(f"{place}: a key of type {type(key).__name__}; JSON keys are text")
    return _text(plain, place)


def _reasons(error: ValidationError) -> str:
    """Say what was expected and where, without the value: logs and incidents carry no data."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(_reason(problem) for problem in problems)


def _reason(problem: ErrorDetails) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    kind = problem["type"]
    what = f"not accepted ({kind})" if kind in _TELLING else problem["msg"]
    return f"{where}: {what}" if where else what
