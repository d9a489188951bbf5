"""`sagaworks diff`: what a new version of a diagram means for sagas under way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sagaworks.diff import Comparison

_FINDINGS = 3
_COLOURS = {"note": "cyan", "care": "yellow", "stop": "red"}


def diff(
    old: Annotated[Path, typer.Argument(help="The version that runs.")],
    new: Annotated[Path, typer.Argument(help="The version to come.")],
    plan: Annotated[
        Path | None, typer.Option(help="Write the migration plan there, as Camunda's API takes it.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Which engine would migrate, such as 8.8.")] = "8.6",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what changed for sagas under way, and whether they can be migrated.

    Exit code 3 where a saga may be at a place from which it can't.
    """
    from sagaworks.diff import compare

    comparison = compare(old, new, _version(engine))
    if plan is not None:
        _write(plan, comparison)
    if as_json:
        typer.echo(_json(comparison))
    else:
        _tell(comparison, old, new)
        if plan is not None:
            typer.echo(f"next: deploy {new}, put its key into {plan}, and migrate")
    if not comparison.migratable:
        raise typer.Exit(_FINDINGS)


def _version(text: str) -> tuple[int, int]:
    parts = text.split(".")
    if len(parts) < 2 or not all(part.isdecimal() for part in parts):  # noqa: PLR2004  major.minor
        raise typer.BadParameter(f"{text!r} is no version such as 8.8", param_hint="--engine")
    return int(parts[0]), int(parts[1])


def _tell(comparison: Comparison, old: Path, new: Path) -> None:
    for one in comparison.changes:
        typer.echo(f"{typer.style(one.weight, fg=_COLOURS[one.weight])} {one}")
    if not comparison.changes:
        typer.echo(f"{old} and {new}: the same saga")
    stuck = _stuck(comparison)
    for reason, elements in stuck.items():
        where = ", ".join(f"`{one}`" for one in elements)
        typer.echo(f"can't be migrated from {where}: {reason}")
    free = len(comparison.places) - sum(map(len, stuck.values()))
    typer.echo(f"can be migrated from {free} of {len(comparison.places)} places where a saga waits")


def _stuck(comparison: Comparison) -> dict[str, list[str]]:
    """Return the places by the first reason why a saga can't be migrated from there."""
    found: dict[str, list[str]] = {}
    for place in comparison.places:
        for reason in place.why_not[:1]:
            found.setdefault(reason, []).append(place.element)
    return found


def _json(comparison: Comparison) -> str:
    import json
    from dataclasses import asdict

    return json.dumps({**asdict(comparison), "migratable": comparison.migratable}, indent=2)


def _write(path: Path, comparison: Comparison) -> None:
    import json

    path.write_text(json.dumps(comparison.plan(), indent=2) + "\n")
