"""`sagaworks start`: start a saga, once for its key, for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sagaworks.cli.variables import Var, VarsJson, variables_of

if TYPE_CHECKING:
    from sagaworks.service import Service
    from sagaworks.settings import Project


def start(
    process: Annotated[str, typer.Argument(help="The process id, such as place_order.")],
    key: Annotated[str, typer.Option("--key", help="The business key, such as order-42.")],
    var: Var = None,
    vars_json: VarsJson = None,
) -> None:
    """Start a saga; the same key again changes nothing and tells the saga there is."""
    variables = variables_of(var, vars_json)
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
