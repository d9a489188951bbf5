"""`sagaworks db`: the services' databases."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Create and migrate the services' databases.", no_args_is_help=True)


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


@app.command()
def create(
    service: Annotated[str, typer.Argument(help="The service, such as inventory.")],
    admin: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Who may create databases and roles; asked for if not given."
        ),
    ] = None,
) -> None:
    """Make a service's database on a server, and its two roles, as its two URLs name them.

    `<SERVICE>_OWNER_URL` is who migrates, `<SERVICE>_DATABASE_URL` who works.
    """
    from sagaworks.roles import create as make
    from sagaworks.settings import Project, Settings

    project = Project.load()
    settings = Settings.load(project=project)
    name = project.service(service).name
    if name not in settings.owner_urls:
        raise typer.BadParameter(f"{name.upper()}_OWNER_URL isn't set", param_hint="SERVICE")
    administrator = admin or typer.prompt("URL of the server's administrator", hide_input=True)
    make(administrator, settings.owner_urls[name], settings.database_url(name))
    typer.echo(f"next: sagaworks db upgrade {name}")


def _told(applied: list[str]) -> str:
    return f"applied {', '.join(applied)}" if applied else "is current, nothing to do"
