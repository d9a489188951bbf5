"""`sagaworks complete`: say that a person has done what a saga waits for."""

from __future__ import annotations

from typing import Annotated

import typer

from sagaworks.cli.variables import Var, VarsJson, variables_of


def complete(
    key: Annotated[str, typer.Argument(help="The business key, such as trip-42.")],
    task: Annotated[str, typer.Argument(help="The user task's id, such as choose_another_car.")],
    var: Var = None,
    vars_json: VarsJson = None,
) -> None:
    """Complete a user task, with what the person has decided as variables."""
    variables = variables_of(var, vars_json)
    from sagaworks.awaited import complete_task

    complete_task(task, key=key, variables=variables)
    typer.echo(f"{key}: {task} is done")
    typer.echo(f"next: sagaworks trail {key}")
