"""`sagaworks trail`: what happened in one saga."""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
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
) -> None:
    """Show what happened in a saga, in order, from its services' ledgers.

    Exit code 3 where a worker couldn't be asked, or nobody knows the key.
    """
    from sagaworks.settings import Project, Settings
    from sagaworks.trail import read_trail

    project = Project.load()
    found = read_trail(key, project.service_names(), Settings.load(project=project))
    if format_ is Format.JSON:
        typer.echo(found.as_json())
    else:
        _print(found)
    for missing in found.unreachable:
        typer.echo(f"sagaworks: {missing.service} is unreachable: {missing.why}", err=True)
    if not found.entries:
        asked = "no service that could be asked" if found.unreachable else "no service"
        typer.echo(f"sagaworks: {asked} knows {key}", err=True)
    if found.unreachable or not found.entries:
        raise typer.Exit(_FINDINGS)


def _print(found: Trail) -> None:
    from rich.console import Console

    if not found.entries:
        return
    # A pipe has no width; there nothing is folded.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(found.headline(), markup=False)
    console.print(found.as_table())
    if found.in_doubt:
        count = len(found.in_doubt)
        console.print(f"{count} in doubt: it isn't known whether the engine counts them")
