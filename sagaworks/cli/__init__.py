"""The command line, `sagaworks`: thin commands over the library."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Annotated, Final

import typer

from sagaworks import __version__
from sagaworks.cli import (
    adopt,
    audit,
    cancel,
    check,
    complete,
    db,
    deploy,
    diff,
    draw,
    history,
    message,
    new,
    report,
    start,
    templates,
    trail,
)
from sagaworks.errors import SagaworksError

_HELP: Final = "Sagas drawn in BPMN, run by Camunda 8, carried out by Python workers."
_EXITS: Final = "Exit codes: 0 ok, 1 error, 2 wrong use, 3 findings, 4 not run."

app = typer.Typer(
    name="sagaworks",
    help=_HELP,
    epilog=_EXITS,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("new")(new.new)
app.command("check")(check.check)
app.command("deploy")(deploy.deploy)
app.command("diff")(diff.diff)
app.command("draw")(draw.draw)
app.command("templates")(templates.templates)
app.command("start")(start.start)
app.command("message")(message.message)
app.command("complete")(complete.complete)
app.command("cancel")(cancel.cancel)
app.command("trail")(trail.trail)
app.command("adopt")(adopt.adopt)
app.command("audit")(audit.audit)
app.command("report")(report.report)
app.command("history")(history.history)
app.add_typer(db.app, name="db")

if find_spec("sagaworks.cli.engine"):
    from sagaworks.cli import engine

    app.add_typer(engine.app, name="engine")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sagaworks {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; what the library or the disk refuses is one line, exit code 1.

    Typer itself answers wrong use with 2 and Ctrl-C with 130.
    """
    try:
        app(prog_name="sagaworks")
    except SagaworksError as error:
        print(f"sagaworks: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read has enough; without this Python would complain again while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"sagaworks: {where}{error.strerror or error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
