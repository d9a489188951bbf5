"""Which refusals a step's function can raise, as its code names them."""

from __future__ import annotations

import sys
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Final

from sagaworks.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEEPEST: Final = 8
"""Calls that are followed into functions of the service's own modules."""


@cache
def codes_of(function: Callable[..., object]) -> frozenset[str]:
    """Return the error codes of all refusals that the function names, or what it calls does.

    A name isn't yet a `raise`: what is only caught counts, too. A `Partner` that it names says
    its no. A refusal that the function gets from elsewhere isn't seen.
    """
    return frozenset(refusal.code for refusal in _named(function, DEEPEST, set()))


def _named(function: object, depth: int, seen: set[object]) -> Iterator[type[Refusal]]:
    if not isinstance(function, FunctionType) or function in seen or depth == 0:
        return
    seen.add(function)
    package = _package(function.__module__)
    for found in _globals_of(function, function.__code__):
        if isinstance(found, type) and issubclass(found, Refusal) and found is not Refusal:
            yield found
        elif (refusal := _of_partner(found)) is not None:
            yield refusal
        elif isinstance(found, FunctionType) and _package(found.__module__) == package:
            yield from _named(found, depth - 1, seen)


def _of_partner(found: object) -> type[Refusal] | None:
    """Return a partner's no; the module is there already if a service has a partner."""
    module = sys.modules.get("sagaworks.partner")
    known = module is not None and isinstance(found, module.Partner)
    return found.refusal if known else None  # type: ignore[attr-defined]  # just asked


def _globals_of(function: FunctionType, code: CodeType) -> Iterator[object]:
    scope = function.__globals__
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    for name in code.co_names:
        found = scope.get(name)
        yield found
        if isinstance(found, ModuleType) and _package(found.__name__) != "sagaworks":
            yield from (getattr(found, other, None) for other in code.co_names)
    for name in code.co_freevars:
        if name in cells:
            yield _content(cells[name])
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_of(function, constant)


def _content(cell: object) -> object:
    try:
        return cell.cell_contents  # type: ignore[attr-defined]  # a cell has no public type
    except ValueError:
        return None  # it's filled later


def _package(module: str | None) -> str:
    return (module or "").partition(".")[0]
