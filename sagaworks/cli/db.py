"""`sagaworks db`: the services' databases."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Create and migrate the services' databases.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `upgrade` a word of its own: typer drops the name of an only command."""


@app.command()
def upgrade(
    service: Annotated[str | None, typer.Argument(help="The service, such as inventory.")] = None,
    all_services: Annotated[bool, typer.Option("--all", help="Every service.")] = False,
) -> None:
    """Bring a service's database to its newest revision; an SQLite file is created."""
    from sagaworks.migrate import upgrade as bring_up
    from sagaworks.settings import Project, Settings

    if (service is None) != all_services:
        raise typer.BadParameter("name one service, or give --all", param_hint="SERVICE")
    project = Project.load()
    settings = Settings.load(project=project)
    names = [project.service(service).name] if service else project.service_names()
    for name in names:
        applied = bring_up(name, settings, project)
        typer.echo(f"{name}: {_told(applied)}")
    typer.echo(f"next: python -m workers {names[0]}")


def _told(applied: list[str]) -> str:
    return f"applied {', '.join(applied)}" if applied else "is current, nothing to do"
