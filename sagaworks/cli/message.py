"""`sagaworks message`: tell a saga what it awaits."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from sagaworks.cli.variables import Var, VarsJson, variables_of

HOUR = 3600


def message(
    name: Annotated[str, typer.Argument(help="The message's name, such as room_confirmed.")],
    key: Annotated[str, typer.Argument(help="The business key of the saga that awaits it.")],
    var: Var = None,
    vars_json: VarsJson = None,
    lasts: Annotated[
        int,
        typer.Option(
            "--lasts",
            min=0,
            help="Seconds that the engine keeps it for a saga that doesn't await it yet.",
        ),
    ] = HOUR,
) -> None:
    """Publish a message to a saga; the diagram correlates it by `saga_key`."""
    variables = variables_of(var, vars_json)
    from sagaworks.awaited import publish_message

    publish_message(name, key=key, variables=variables, lasts=timedelta(seconds=lasts))
    typer.echo(f"{name}: published for {key}; whether a saga awaits it, the trail tells")
    typer.echo(f"next: sagaworks trail {key}")
