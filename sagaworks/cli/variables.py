"""Process variables on the command line."""

from __future__ import annotations

import json
from typing import Annotated, Any, NoReturn

import typer

Var = Annotated[
    list[str] | None,
    typer.Option("--var", help="name=value; the value is read as JSON, else it is text."),
]
VarsJson = Annotated[
    str | None, typer.Option("--vars-json", help="All variables as one JSON object.")
]


def variables_of(pairs: list[str] | None, whole: str | None) -> dict[str, Any]:
    """Return what ``--var`` and ``--vars-json`` give together.

    Raises:
        BadParameter: one of them can't be read, or a name is given twice.
    """
    variables = _object(whole) if whole is not None else {}
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            _refuse("--var", f"{pair!r} is not name=value")
        if name in variables:
            _refuse("--var", f"{name} is given twice")
        variables[name] = _value(text)
    return variables


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_pairs)
    except ValueError as error:
        _refuse("--vars-json", f"not JSON: {error}")
    if not isinstance(found, dict):
        _refuse("--vars-json", 'not a JSON object such as {"sku": "lamp"}')
    return found


def _value(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_pairs)
    except ValueError:
        return text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name is given twice")
    return dict(pairs)


def _refuse(where: str, why: str) -> NoReturn:
    raise typer.BadParameter(why, param_hint=where)
