"""`sagaworks start`: start a saga, once for its key, for ever."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from sagaworks.service import Service
    from sagaworks.settings import Project


def start(
    process: Annotated[str, typer.Argument(help="The process id, such as place_order.")],
    key: Annotated[str, typer.Option("--key", help="The business key, such as order-42.")],
    var: Annotated[
        list[str] | None,
        typer.Option("--var", help="name=value; the value is read as JSON, else it is text."),
    ] = None,
    vars_json: Annotated[
        str | None, typer.Option("--vars-json", help="All variables as one JSON object.")
    ] = None,
) -> None:
    """Start a saga; the same key again changes nothing and tells the saga there is."""
    variables = _variables(var or [], vars_json)
    from sagaworks.settings import Project, Settings
    from sagaworks.start import start_saga

    project = Project.load()
    settings = Settings.load(project=project)
    service = _first_service(project, process)
    started = start_saga(service, process, key=key, variables=variables, settings=settings)
    did = "started" if started.new else "was started before; nothing is changed"
    typer.echo(f"{started.business_key}: {did}, process instance {started.process_instance}")
    typer.echo(f"next: sagaworks trail {started.business_key}")


def _first_service(project: Project, process_id: str) -> Service:
    """The service of the saga's first step: it decides that a key is one saga."""
    from sagaworks.diagram import read_diagram
    from sagaworks.errors import ConfigurationError, ContractError
    from sagaworks.project import nearest

    diagrams = {found.process_id: found for found in map(read_diagram, project.diagram_files())}
    if process_id not in diagrams:
        hint = nearest(process_id, diagrams) or f"known are {', '.join(sorted(diagrams))}"
        raise ConfigurationError(f"no diagram has the process id {process_id!r}: {hint}")
    types = [step.job_type for step in diagrams[process_id].first_steps() if step.job_type]
    names = sorted({job_type.partition(".")[0] for job_type in types})
    if len(names) != 1:
        found = ", ".join(types) or "none"
        why = "a saga begins with one step of one service, which keeps its key"
        raise ContractError(f"{diagrams[process_id].path}: first steps are {found}; {why}")
    return project.service(names[0])


def _variables(pairs: list[str], whole: str | None) -> dict[str, Any]:
    variables = _object(whole) if whole is not None else {}
    for pair in pairs:
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
