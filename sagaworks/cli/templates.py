"""`sagaworks templates`: let the steps be picked in Camunda Modeler."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sagaworks.service import Service


def templates(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The folder; `.camunda/element-templates` if not."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 3 where a file is stale.")
    ] = False,
) -> None:
    """Write an element template for each step and compensation, a file a service."""
    from sagaworks.project import Project
    from sagaworks.templates import FOLDER

    project = Project.load()
    folder = output or project.root / FOLDER
    if check:
        _check(folder, project.load_services())
    else:
        _write(folder, project.load_services())


def _write(folder: Path, services: list[Service]) -> None:
    from sagaworks.finding import shown
    from sagaworks.templates import write

    for file in write(folder, services):
        news = f"{len(file.changed)} new or changed" if file.changed else "nothing changed"
        typer.echo(f"{shown(file.path)}: {file.templates} templates, {news}")
    typer.echo("next: open a diagram in Camunda Modeler, select a task, Template, Select")


def _check(folder: Path, services: list[Service]) -> None:
    from sagaworks.errors import ConfigurationError
    from sagaworks.templates import stale

    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such folder; run `sagaworks templates`")
    findings = list(stale(folder, services))
    for one in findings:
        typer.echo(str(one))
    if findings:
        raise typer.Exit(3)
    typer.echo("templates: up to date")
