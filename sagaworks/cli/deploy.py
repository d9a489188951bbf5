"""`sagaworks deploy`: give the diagrams to the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sagaworks.runtime.gateway import Deployed
    from sagaworks.settings import Settings


def deploy(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Diagrams; all of the project's if none is named.",
            exists=True,
            dir_okay=False,
            resolve_path=True,
        ),
    ] = None,
) -> None:
    """Check the diagrams against the services' code, then give them to the engine."""
    import asyncio

    from sagaworks.contract import demand_contract
    from sagaworks.diagram import read_diagram
    from sagaworks.settings import Project, Settings

    project = Project.load()
    settings = Settings.load(project=project)
    known = project.diagram_files()
    chosen = files or known
    # All of them are read: a step may have its task in a diagram that isn't deployed now.
    diagrams = {path: read_diagram(path) for path in dict.fromkeys([*known, *chosen])}
    demand_contract(project.load_services(), list(diagrams.values()))
    versions = {found.process_id: found for found in asyncio.run(_deploy(settings, chosen))}
    for path in chosen:
        process_id = diagrams[path].process_id
        typer.echo(f"{process_id} version {versions[process_id].version} ({path.name})")
    typer.echo(f"next: sagaworks start {diagrams[chosen[0]].process_id} --key … --var name=value")


async def _deploy(settings: Settings, files: list[Path]) -> list[Deployed]:
    from sagaworks.runtime.gateway import connect

    async with connect(settings) as gateway:
        return await gateway.deploy(files)
