"""`sagaworks history`: keep what the engine has done."""

from __future__ import annotations

from typing import Annotated

import typer


def history(
    listen: Annotated[
        str, typer.Option(help="host:port; anywhere but on loopback it wants SAGAWORKS_TOKEN.")
    ] = "127.0.0.1:9700",
    keep: Annotated[
        str, typer.Option(help="How long what has ended is kept: 36h, 30d, 8w.")
    ] = "30d",
) -> None:
    """Receive the engine's records from its exporter, keep them, and answer the workers.

    Kept in HISTORY_DATABASE_URL (SQLite or PostgreSQL), else in history.db in SAGAWORKS_DATA.
    `sagaworks engine up` starts one beside its engine; a cluster is given one more exporter.
    """
    from pathlib import Path

    from sagaworks.errors import ConfigurationError
    from sagaworks.history.keeping.age import read_age
    from sagaworks.history.keeping.process import SERVICE, run_history
    from sagaworks.project import Project, root_above
    from sagaworks.settings import Settings

    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) >= 2**16:
        raise typer.BadParameter(f"{listen!r} is not host:port", param_hint="--listen")
    try:
        age = read_age(keep)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--keep") from None
    if root_above(Path.cwd()) and SERVICE in Project.load().service_names():
        why = "a service of yours is called so, and its database would be history's"
        raise ConfigurationError(f"{SERVICE}: {why}; give the service another name")
    run_history(Settings.load(), host.strip("[]"), int(port), age)
