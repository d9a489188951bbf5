"""The JSON shapes of Python types: whether what one step returns fits what another reads."""

import types
import typing
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

ANYTHING: Final = frozenset({"text", "number", "truth", "object", "list", "null"})

_PLAIN: Final[Mapping[object, frozenset[str]]] = {
    str: frozenset({"text"}),
    bytes: frozenset({"text"}),
    int: frozenset({"number"}),
    float: frozenset({"number"}),
    bool: frozenset({"truth"}),
    Decimal: frozenset({"text", "number"}),
    UUID: frozenset({"text"}),
    date: frozenset({"text"}),
    datetime: frozenset({"text"}),
    time: frozenset({"text"}),
    timedelta: frozenset({"text", "number"}),
    type(None): frozenset({"null"}),
    dict: frozenset({"object"}),
    list: frozenset({"list"}),
    tuple: frozenset({"list"}),
    set: frozenset({"list"}),
    frozenset: frozenset({"list"}),
}


def shape_of(annotation: object) -> frozenset[str]:
    """Return the kinds of JSON values that an annotation can stand for; all where it's unsure."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        return shape_of(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return frozenset().union(*map(shape_of, arguments))
    if origin is typing.Literal:
        return frozenset().union(*(shape_of(type(one)) for one in arguments))
    return _shape_of_class(origin or annotation)


def _shape_of_class(found: object) -> frozenset[str]:
    if found in _PLAIN:
        return _PLAIN[found]
    if not isinstance(found, type):
        return ANYTHING
    if issubclass(found, Enum):
        return frozenset().union(*(shape_of(type(one.value)) for one in found))
    if issubclass(found, BaseModel | Mapping):
        return frozenset({"object"})
    if issubclass(found, Sequence | AbstractSet) and not issubclass(found, str):
        return frozenset({"list"})
    return ANYTHING


def misfit_of(fact: type[Any] | None, wanted: object, name: str) -> str:
    """Return how a fact differs from what its reader expects; empty where it fits."""
    view = _model_in(wanted)
    if fact is None or view is None:
        fits = fact is None or "object" in shape_of(wanted)
        return "" if fits else f"`{name}` is a {fact.__name__ if fact else ''}, an object"
    if issubclass(fact, view):
        return ""
    for field, about in view.model_fields.items():
        made = fact.model_fields.get(field)
        if made is None:
            if about.is_required():
                return f"`{name}` has no `{field}`, which {view.__name__} asks for"
        elif not shape_of(made.annotation) & shape_of(about.annotation):
            kinds = f"{_name(made.annotation)}, not {_name(about.annotation)}"
            return f"`{name}.{field}` is {kinds}"
    return ""


def _model_in(annotation: object) -> type[BaseModel] | None:
    if typing.get_origin(annotation) is typing.Annotated:
        return _model_in(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        found = [one for part in typing.get_args(annotation) if (one := _model_in(part))]
        return found[0] if len(found) == 1 else None
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_model else None  # type: ignore[return-value]  # just asked


def _name(annotation: object) -> str:
    return getattr(annotation, "__name__", None) or str(annotation)
