"""`sagaworks check`: look at the diagrams as sagas, before they are deployed."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagaworks.finding import Finding

_FINDINGS = 3


class Format(enum.StrEnum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Diagrams; all of the project's if none is named.", exists=True, dir_okay=False
        ),
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="For people, programs, editors or GitHub.")
    ] = Format.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 for a warning, too.")] = False,
    diagram_only: Annotated[
        bool,
        typer.Option(
            "--diagram-only",
            help="Without the services' code: `saga.kind` says what a step is, else compensatable.",
        ),
    ] = False,
) -> None:
    """Check diagrams against the modelling rules and against the services' code.

    Exit code 3 from an error on.
    """
    findings, count = _check([Path(file) for file in files or ()], diagram_only=diagram_only)
    _print(findings, format_, count)
    if is_refused(findings, strict=strict):
        raise typer.Exit(_FINDINGS)


def is_refused(findings: Sequence[Finding], *, strict: bool = False) -> bool:
    """Whether something was found that may not be deployed."""
    grave = ("error", "warning") if strict else ("error",)
    return any(one.severity in grave and not one.ignored for one in findings)


def _check(files: list[Path], *, diagram_only: bool) -> tuple[list[Finding], int]:
    from sagaworks.check import check
    from sagaworks.project import Project
    from sagaworks.templates import FOLDER, stale

    if diagram_only:
        chosen = files or Project.load().diagram_files()
        return check(chosen), len(chosen)
    project = Project.load()
    known = project.diagram_files()
    asked = [file.resolve() for file in files] or known
    services = project.load_services()
    findings = check([*known, *asked], services, asked=asked)
    # A diagram that can't be read is told already.
    unreadable = {one.path for one in findings if not one.element}
    readable = [path for path in asked if path not in unreadable]
    return [*findings, *stale(project.root / FOLDER, services, readable)], len(asked)


def _print(findings: Sequence[Finding], format_: Format, count: int) -> None:
    from sagaworks.check import report

    if format_ is Format.JSON:
        typer.echo(report.as_json(findings))
    elif format_ is Format.SARIF:
        typer.echo(report.as_sarif(findings))
    elif format_ is Format.GITHUB:
        for line in report.as_github(findings):
            typer.echo(line)
    else:
        for line in report.as_lines(findings, lambda text, colour: typer.style(text, fg=colour)):
            typer.echo(line)
        typer.echo(report.summary(findings, count))
