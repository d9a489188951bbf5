"""History's values as JSON, between `sagaworks history` and who asks it."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

from sagaworks.history.values import Element, Incident, Instance, Job, Undoing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagaworks.codec import Json

Value = TypeVar("Value", Instance, Job, Element, Incident, Undoing)


def written(value: Value | None) -> dict[str, Json] | None:
    """Return a value JSON-ready; keys of the engine stay whole numbers."""
    return None if value is None else asdict(value)


def read(kind: type[Value], said: Mapping[str, Any]) -> Value:
    """Return the value that `written` wrote; what a later version says beyond it is left out.

    Raises:
        TypeError: something that must be said isn't.
    """
    known = {one.name for one in fields(kind)}
    return kind(**{name: said[name] for name in said if name in known})
