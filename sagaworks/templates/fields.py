"""What a template's form asks for: one field for each variable of a step's signature."""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from sagaworks.signature import Variable
    from sagaworks.step import Step, Task

    Field = dict[str, Any]

RETRIES_PATTERN: Final = r"^(=.*|[1-9][0-9]*)$"
"""At least one: a job with 0 retries is handed out, and an incident at its first failure."""

_ARGS: Final = re.compile(r"^\s*Args:\s*$")
_ARG: Final = re.compile(r"^\s*(\w+)(?:\s*\([^)]*\))?:\s*(.*)$")
_NUMBERS: Final = (int, float, Decimal)
_IN_WORDS: Final[Mapping[object, str]] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    Decimal: 'an exact number, such as "9.90"',
    bool: "yes or no",
    date: 'a day, such as "2026-11-25"',
    datetime: 'a moment, such as "2026-11-25T12:00:00Z"',
    timedelta: 'a duration, such as "PT2H"',
}


def hidden(value: str, binding: dict[str, str]) -> Field:
    """Return what the template writes without asking."""
    return {"type": "Hidden", "value": value, "binding": binding}


def retries(count: int) -> Field:
    """Return the field for how often a failing job is offered."""
    return {
        "id": "retries",
        "label": "Retries",
        "description": "How often a job that fails is offered before it becomes an incident.",
        "group": "reliability",
        "type": "String",
        "feel": "optional",
        "value": str(count),
        "binding": {"type": "zeebe:taskDefinition", "property": "retries"},
        "constraints": {
            "notEmpty": True,
            "pattern": {"value": RETRIES_PATTERN, "message": "a number, at least 1"},
        },
    }


def inputs(task: Task) -> list[Field]:
    """Return a field for each process variable that the function asks for."""
    said = _said_of_parameters(task.doc)
    variables = task.signature.variables.values()
    return [_input(one, said.get(one.name) or _said_by_type(one)) for one in variables]


def undo_runs(step: Step[..., Any]) -> Field:
    """Return the question which runs of a repeated step a handler undoes."""
    return {
        "id": "undo",
        "label": "Undoes",
        "description": "On a multi-instance task the engine calls the handler once for all runs.",
        "group": "saga",
        "type": "Dropdown",
        "choices": [
            {"name": "all runs of the step", "value": "all"},
            {"name": f"the run that `{step.each}` names", "value": "one"},
        ],
        "value": "all",
        "binding": {"type": "zeebe:taskHeader", "key": "undo"},
    }


def _input(variable: Variable, help_: str) -> Field:
    name = variable.name
    field: Field = {
        "id": f"input_{name}",
        "label": name.replace("_", " ").capitalize(),
        "description": " ".join(filter(None, [help_, _type_said(variable)])),
        "group": "input",
        "binding": {"type": "zeebe:input", "name": name},
    }
    field |= _kind(variable)
    if variable.required:
        field |= {"value": f"={name}", "constraints": {"notEmpty": True}}
    else:
        # Left empty, no mapping is written, and the function's own default holds.
        field["optional"] = True
    return field


def _kind(variable: Variable) -> Field:
    choices = _choices(_bare(variable.annotation))
    if choices:
        first = {"name": f"the variable `{variable.name}`", "value": f"={variable.name}"}
        return {"type": "Dropdown", "choices": [first, *choices]}
    return {"type": "String", "feel": "optional" if _is_text(variable) else "required"}


def _choices(kind: object) -> list[dict[str, str]]:
    if kind is bool:
        return [{"name": "yes", "value": "=true"}, {"name": "no", "value": "=false"}]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return [_choice(one.name.lower().replace("_", " "), one.value) for one in kind]
    if typing.get_origin(kind) is Literal:
        return [_choice(str(one), one) for one in typing.get_args(kind)]
    return []


def _choice(name: str, value: object) -> dict[str, str]:
    return {"name": name, "value": value if isinstance(value, str) else f"={value}"}


def _is_text(variable: Variable) -> bool:
    """Whether what is typed without `=` would be of the right type."""
    kind = _bare(variable.annotation)
    return isinstance(kind, type) and not issubclass(kind, (*_NUMBERS, dict, list, BaseModel))


def _bare(annotation: object) -> object:
    """Return the type without `Annotated` and without `| None`."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _bare(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        there = [one for one in typing.get_args(annotation) if one is not types.NoneType]
        return _bare(there[0]) if len(there) == 1 else annotation
    return annotation


def _type_said(variable: Variable) -> str:
    kind = _bare(variable.annotation)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"Type: an object with {', '.join(kind.model_fields)}."
    return f"Type: {_IN_WORDS.get(kind, variable.type_name)}."


def _said_by_type(variable: Variable) -> str:
    """Return the description that ``Annotated[int, Field(description=…)]`` carries."""
    if typing.get_origin(variable.annotation) is not typing.Annotated:
        return ""
    fields = [one for one in typing.get_args(variable.annotation) if isinstance(one, FieldInfo)]
    return next((one.description for one in fields if one.description), "")


def _said_of_parameters(doc: str) -> dict[str, str]:
    """Return what the docstring's section `Args:` says of each parameter."""
    lines = inspect.cleandoc(doc).splitlines()
    start = next((at for at, line in enumerate(lines) if _ARGS.match(line)), len(lines))
    said: dict[str, str] = {}
    name = ""
    for line in lines[start + 1 :]:
        if line and not line[0].isspace():
            break
        if found := _ARG.match(line):
            name, said[found[1]] = found[1], found[2].strip()
        elif name and line.strip():
            said[name] += f" {line.strip()}"
    return said
