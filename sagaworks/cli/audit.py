"""`sagaworks audit`: do all services and the engine agree, and if not, mend it."""

from __future__ import annotations

import enum
import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sagaworks.audit import Books, By, Picture

_ERROR = 1
_FINDINGS = 3


class Format(enum.StrEnum):
    """How the picture is written."""

    TEXT = "text"
    JSON = "json"


def audit(  # noqa: PLR0913, PLR0917  a command's options
    format_: Annotated[Format, typer.Option("--format", help="For people or for programs.")] = (
        Format.TEXT
    ),
    fix: Annotated[
        bool, typer.Option("--fix", help="Say what would be mended; with --yes, mend it.")
    ] = False,
    undo: Annotated[
        list[str] | None,
        typer.Option(
            "--undo",
            help="Decide that a row is to be undone, such as inventory:17; again for more.",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", help="Decide that a row stands; again for more.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --fix, --undo and --keep: do it.")
    ] = False,
    why: Annotated[
        str | None, typer.Option("--why", help="With --yes: the reason, for the audit row.")
    ] = None,
    who: Annotated[
        str | None, typer.Option("--who", help="With --yes: your name; this user by default.")
    ] = None,
    older_than: Annotated[
        float,
        typer.Option(
            "--older-than",
            min=0,
            help="Seconds for which an effect is left alone: its record is on the way.",
        ),
    ] = 3.0,
    newest: Annotated[
        int,
        typer.Option(
            "--newest", min=0, help="How many of history's sagas are looked for in the ledgers."
        ),
    ] = 1000,
) -> None:
    """Show where the services' ledgers and the engine's history differ, and mend it.

    Each service is asked through its own database. Exit code 0: they agree; 3: they differ; 1: a
    service or history couldn't be asked, so that nobody can say.
    """
    decided = dict.fromkeys(undo or [], True) | dict.fromkeys(keep or [], False)
    if yes and not (fix or decided):
        raise typer.BadParameter("only with --fix, --undo or --keep", param_hint="--yes")
    if yes and not (why or "").strip():
        raise typer.BadParameter("say why: it stands in the audit row", param_hint="--why")
    from sagaworks.audit import By, Picture, Scope, look
    from sagaworks.audit.picture import all_books
    from sagaworks.settings import Project, Settings

    project = Project.load()
    scope, picture = Scope(older_than, newest), Picture()
    with all_books(project, Settings.load(project=project), picture, scope) as (history, books):
        look(history, books, picture, scope)
        _refuse_others(picture, decided)
        if yes:
            by = By(who or getpass.getuser(), str(why))
            with _quiet():
                _decide(picture, books, by, decided)
                if fix:
                    _mend(picture, books, by)
            picture = Picture(unasked=picture.unasked)
            look(history, books, picture, scope)
    typer.echo(picture.as_json()) if format_ is Format.JSON else _print(
        picture, dry=fix and not yes
    )
    if picture.unasked:
        raise typer.Exit(_ERROR)
    if picture.differences:
        raise typer.Exit(_FINDINGS)


def _refuse_others(picture: Picture, decided: Mapping[str, bool]) -> None:
    from sagaworks.errors import SagaworksError

    others = decided.keys() - {one.row for one in picture.differences if one.can_be_decided}
    if others:
        what = f"{', '.join(sorted(others))}: no row that a person must decide on"
        raise SagaworksError(f"{what}; nothing was done; `sagaworks audit` names them")


def _decide(picture: Picture, books: Sequence[Books], by: By, decided: Mapping[str, bool]) -> None:
    from sagaworks.audit.mending import decide

    of = {one.service.name: one for one in books}
    for one in picture.differences:
        if one.row in decided:
            became = decide(of[one.service], one, by, undo=decided[one.row])
            typer.echo(f"{one.as_line()}\n  now: {became}", err=True)


def _mend(picture: Picture, books: Sequence[Books], by: By) -> None:
    """Mend what can be, newest effect first; what is told goes to stderr, beside the picture."""
    from sqlalchemy.exc import SQLAlchemyError

    from sagaworks.audit.mending import mend
    from sagaworks.ledger.faults import CommitUnknownError, reason_of

    of = {one.service.name: one for one in books}
    for one in [one for one in picture.differences if one.can_be_mended]:
        try:
            became = mend(of[one.service], one, by)
        except (SQLAlchemyError, CommitUnknownError) as error:
            became = f"not now: {reason_of(error)}"
        typer.echo(f"{one.as_line()}\n  now: {became}", err=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Log nothing meanwhile: what becomes of each row is told in a line of its own."""
    from loguru import logger

    logger.disable("sagaworks")
    try:
        yield
    finally:
        logger.enable("sagaworks")


def _print(picture: Picture, *, dry: bool) -> None:
    for one in picture.differences:
        typer.echo(one.as_line())
        if dry and one.can_be_mended:
            typer.echo(f"  would {one.remedy}")
        else:
            typer.echo(f"  next: {one.next}")
    for note in picture.notes:
        typer.echo(f"note: {note}")
    for missing in picture.unasked:
        typer.echo(f"sagaworks: {missing.service} can't be asked: {missing.why}", err=True)
    typer.echo(_sum(picture))
    if dry and any(one.can_be_mended for one in picture.differences):
        typer.echo("nothing was changed; do it: sagaworks audit --fix --yes --why REASON")


def _sum(picture: Picture) -> str:
    asked = ", ".join(picture.asked) or "none"
    if picture.differences:
        count = len(picture.differences)
        return f"{count} difference{'s' if count > 1 else ''}; asked: {asked}"
    if picture.unasked:
        return f"no difference found, but not everybody could be asked; asked: {asked}"
    return f"clean: ledgers and engine agree; asked: {asked}"
