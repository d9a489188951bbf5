"""`sagaworks trail`: what happened in one saga."""

from __future__ import annotations

import enum
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sagaworks.settings import Project, Settings
    from sagaworks.trail import Trail

_FINDINGS = 3


class Format(enum.StrEnum):
    """How the trail is written."""

    TABLE = "table"
    JSON = "json"


def trail(
    key: Annotated[str, typer.Argument(help="The business key, such as order-42.")],
    format_: Annotated[Format, typer.Option("--format", help="For people or for programs.")] = (
        Format.TABLE
    ),
    picture: Annotated[
        bool, typer.Option("--picture", help="Paint the saga's way on its diagram.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="With --picture: an .svg or a .png; KEY.svg."),
    ] = None,
) -> None:
    """Show what happened in a saga, in order, from its services' ledgers and the engine's history.

    Exit code 3 where a worker couldn't be asked, or nobody knows the key.
    """
    if output is not None and not picture:
        raise typer.BadParameter("only with --picture", param_hint="--output")
    from sagaworks.settings import Project, Settings
    from sagaworks.trail import read_trail

    project = Project.load()
    settings = Settings.load(project=project)
    found = _of_those_drawn(read_trail(key, project.service_names(), settings), project)
    if format_ is Format.JSON:
        typer.echo(found.as_json())
    elif not picture:
        _print(found)
    if picture:
        _paint(found, project, settings, output or _file_of(key))
    if found.no_engine:
        typer.echo(f"sagaworks: the engine's side is missing: {found.no_engine}", err=True)
    for missing in found.unreachable:
        typer.echo(f"sagaworks: {missing.service} is unreachable: {missing.why}", err=True)
    if not found.entries:
        asked = "no service that could be asked" if found.unreachable else "no service"
        typer.echo(f"sagaworks: {asked} knows {key}", err=True)
    if found.unreachable or not found.entries:
        raise typer.Exit(_FINDINGS)


def _of_those_drawn(found: Trail, project: Project) -> Trail:
    """Leave out who couldn't be asked and has no part in the saga: another saga's services."""
    from sagaworks.diagram import read_diagram

    process = next((e["step"] for e in found.entries if e["event"] == "started"), None)
    for diagram in map(read_diagram, project.diagram_files()) if found.unreachable else ():
        if diagram.process_id == process:
            drawn = {task.job_type.partition(".")[0] for task in diagram.tasks.values()}
            missing = tuple(one for one in found.unreachable if one.service in drawn)
            return replace(found, unreachable=missing)
    return found


def _paint(found: Trail, project: Project, settings: Settings, file: Path) -> None:
    """Write the picture, from history if it knows the saga, else from the ledgers."""
    from sagaworks.cli.pictures import write_picture
    from sagaworks.history import HistoryUnavailable, connect
    from sagaworks.picture.of_trail import of_history, of_ledgers

    svg = None
    if place := settings.history_place():
        try:
            history = connect(place, token=settings.token)
            svg = of_history(history, found.saga_key, found.entries)
        except HistoryUnavailable as error:
            typer.echo(f"sagaworks: {error}; painted from the ledgers", err=True)
    if svg is None and found.entries:
        svg = of_ledgers(project.diagram_files(), found.saga_key, found.entries)
    if svg is not None:
        write_picture(svg, file)


def _file_of(key: str) -> Path:
    """Return a file in this folder that is named after the key, whatever is in that."""
    name = "".join(one if one.isalnum() or one in "-_." else "-" for one in key)
    return Path(f"{name.lstrip('.') or 'saga'}.svg")


def _print(found: Trail) -> None:
    from rich.console import Console

    # A pipe has no width; there nothing is folded.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    if found.entries:
        console.print(found.headline(), markup=False)
        console.print(found.as_table())
    for line in found.engine.lines() if found.engine else ():
        console.print(line, markup=False)
    if found.in_doubt:
        count = len(found.in_doubt)
        console.print(f"{count} in doubt: it isn't known whether the engine counts them")
