"""`sagaworks deploy`: give the diagrams to the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sagaworks.finding import Finding
    from sagaworks.project import Project
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
    force: Annotated[
        bool, typer.Option("--force", help="Deploy what `sagaworks check` refuses, too.")
    ] = False,
) -> None:
    """Check the diagrams as `sagaworks check` does, then give them to the engine."""
    import asyncio

    from sagaworks.diagram import read_diagram
    from sagaworks.settings import Project, Settings

    project = Project.load()
    settings = Settings.load(project=project)
    chosen = files or project.diagram_files()
    _demand(project, chosen, force=force)
    ids = {path: read_diagram(path).process_id for path in chosen}
    versions = {found.process_id: found for found in asyncio.run(_deploy(settings, chosen))}
    for path in chosen:
        typer.echo(f"{ids[path]} version {versions[ids[path]].version} ({path.name})")
    typer.echo(f"next: sagaworks start {ids[chosen[0]]} --key … --var name=value")


def _demand(project: Project, chosen: list[Path], *, force: bool) -> None:
    """Refuse diagrams with errors; told all the same where they're deployed by force.

    Raises:
        ContractError: a line an error, then a line a warning: it may be an error's cause.
    """
    from sagaworks.check import check
    from sagaworks.cli.check import is_refused
    from sagaworks.errors import ContractError

    # All of them are read: a step may have its task in a diagram that isn't deployed now.
    known = project.diagram_files()
    findings = check([*known, *chosen], project.load_services(), asked=chosen)
    told = _told(findings)
    if is_refused(findings) and not force:
        raise ContractError("\n".join(told))
    if is_refused(findings):
        typer.echo("\n".join(told), err=True)


def _told(findings: list[Finding]) -> list[str]:
    from sagaworks.check.report import as_lines

    grave = [one for one in findings if one.severity != "info" and not one.ignored]
    return [*as_lines(sorted(grave, key=lambda one: one.severity), lambda text, _: text)]


async def _deploy(settings: Settings, files: list[Path]) -> list[Deployed]:
    from sagaworks.runtime.gateway import connect

    async with connect(settings) as gateway:
        return await gateway.deploy(files)
