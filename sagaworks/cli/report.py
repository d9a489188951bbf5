"""`sagaworks report`: one page of many sagas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from sagaworks.history import BrowsableHistory
    from sagaworks.settings import Settings


def report(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The page, one file that needs no other.")
    ] = Path("saga-report.html"),
    most: Annotated[
        int, typer.Option(min=1, help="How many sagas at most, the newest of them.")
    ] = 10_000,
    title: Annotated[str, typer.Option(help="What stands at the page's head.")] = "Saga report",
) -> None:
    """Write a page of the sagas that history knows: each on its diagram, and what they add up to.

    It has no variable's value in it, and asks nobody for anything when it's read.
    """
    from sagaworks.project import Project
    from sagaworks.report import page
    from sagaworks.report.of_history import gather, show_project
    from sagaworks.settings import Settings

    project = Project.load()
    gathering = gather(_history(Settings.load(project=project)), most)
    for problem in show_project(gathering, project.diagram_files()):
        typer.echo(f"sagaworks: not shown: {problem}", err=True)
    output.write_text(page(gathering, title), encoding="utf-8")
    typer.echo(f"wrote {output}: {len(gathering)} sagas")


def _history(settings: Settings) -> BrowsableHistory:
    from sagaworks.errors import ConfigurationError
    from sagaworks.history import connect

    place = settings.history_place()
    if place is None:
        remedy = "start an engine with `sagaworks engine up`, or say where `sagaworks history` is"
        raise ConfigurationError(f"SAGAWORKS_HISTORY isn't set: {remedy}")
    history = connect(place, token=settings.token)
    if not hasattr(history, "newest"):
        why = "this history answers about one saga at a time"
        raise ConfigurationError(f"SAGAWORKS_HISTORY: {why}; a report needs `sagaworks history`")
    return cast("BrowsableHistory", history)
