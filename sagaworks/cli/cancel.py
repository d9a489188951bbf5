"""`sagaworks cancel`: end a saga so that nothing of it is left."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sagaworks.cancel import Cancelled

_ERROR = 1
_FINDINGS = 3


def cancel(
    key: Annotated[str, typer.Argument(help="The business key, such as order-42.")],
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait until all is undone.")
    ] = 60.0,
    message: Annotated[
        str | None,
        typer.Option("--message", help="Which way, where the diagram draws several."),
    ] = None,
) -> None:
    """Cancel a running saga, so that all it did is undone.

    By the way that its deployed diagram draws, if it draws one: an event sub-process at the root,
    begun by a message, that ends with everything undone. Else its process instance is cancelled and
    each service's reconciler undoes. Exit code 0: undone; 3: not all of it yet; 1: it goes on.
    """
    from sagaworks.audit import Picture, Scope
    from sagaworks.audit.picture import all_books
    from sagaworks.cancel import Fate, cancel_saga
    from sagaworks.settings import Project, Settings

    project, picture = Project.load(), Picture()
    settings = Settings.load(project=project)
    with all_books(project, settings, picture, Scope(patience=-1)) as (history, books):
        found = cancel_saga(
            key,
            history=history,
            books=books,
            settings=settings,
            wait=timedelta(seconds=wait),
            message=message,
            tell=typer.echo,
        )
    _say(key, found)
    for missing in picture.unasked:
        typer.echo(f"sagaworks: {missing.service} can't be asked: {missing.why}", err=True)
    if found.fate in {Fate.GOES_ON, Fate.NOT_CAUGHT}:
        raise typer.Exit(_ERROR)
    if found.fate is not Fate.UNDONE or picture.unasked:
        raise typer.Exit(_FINDINGS)


def _say(key: str, found: Cancelled) -> None:
    from sagaworks.cancel import Fate

    name = found.way.message if found.way else ""
    undone = ", ".join(found.undone) or "nothing had to be"
    match found.fate:
        case Fate.UNDONE:
            typer.echo(f"{key}: ended; undone: {undone}")
        case Fate.LEFT:
            typer.echo(f"{key}: ended; undone so far: {undone}; left:")
            for one in found.left:
                typer.echo(f"  {one.as_line()}")
            typer.echo("next: workers undo it when they run; sagaworks audit shows what is left")
        case Fate.GOES_ON:
            where = ", ".join(found.ended_at)
            typer.echo(f"sagaworks: {key} goes on: its diagram says no, at {where}", err=True)
        case Fate.NOT_CAUGHT:
            why = "it isn't at a moment where it can be cancelled, or is being undone already"
            typer.echo(
                f"sagaworks: {key}: nothing caught {name}: {why}; nothing was changed", err=True
            )
        case Fate.UNKNOWN:
            typer.echo(f"{key}: asked for, and not ended yet; an incident may hold it")
    typer.echo(f"next: sagaworks trail {key}")
