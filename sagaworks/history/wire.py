"""History's values as JSON, between `sagaworks history` and who asks it."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sagaworks.history.values import Element, Incident, Instance, Job, Undoing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagaworks.codec import Json

Value = TypeVar("Value", Instance, Job, Element, Incident, Undoing)

_NAMES: Final = {
    kind: tuple(one.name for one in fields(kind))
    for kind in (Instance, Job, Element, Incident, Undoing)
}


def written(value: Value | None) -> dict[str, Json] | None:
    """Return a value JSON-ready; keys of the engine stay whole numbers."""
    # Nothing in it is nested: `asdict` copies deeply, which takes five times as long.
    return None if value is None else {name: getattr(value, name) for name in _NAMES[type(value)]}


def read(kind: type[Value], said: Mapping[str, Any]) -> Value:
    """Return the value that `written` wrote; what a later version says beyond it is left out.

    Raises:
        TypeError: something that must be said isn't.
    """
    known = _NAMES[kind]
    return kind(**{name: said[name] for name in said if name in known})
