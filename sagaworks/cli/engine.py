"""`sagaworks engine`: the engine on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sagaworks.settings import Settings

if TYPE_CHECKING:
    from sagaworks.engine import Engine

NOT_RUNNING = 3

app = typer.Typer(help="The engine on this machine.", no_args_is_help=True)


@app.command()
def up(
    quick: Annotated[
        bool, typer.Option(help="Ready sooner, slower once warm: for tests and demos.")
    ] = False,
    history: Annotated[
        bool, typer.Option(help="Keep what it does, by `sagaworks history` beside it.")
    ] = True,
) -> None:
    """Start the engine, or find the one that runs; fetch it first if need be."""
    from sagaworks import engine
    from sagaworks.engine.progress import download_bar

    with download_bar() as progress:
        started = engine.up(
            Settings.load(), progress=progress, on_note=_note, quick=quick, history=history
        )
    typer.echo(_line(started))


@app.command()
def down(
    train: Annotated[
        bool, typer.Option(help="Write the start cache in the background if there is none.")
    ] = True,
) -> None:
    """Stop the engine; its data stays."""
    from sagaworks import engine

    stopped = engine.down(Settings.load(), train=train)
    if stopped is None:
        typer.echo("no engine runs here")
        return
    typer.echo(f"engine stopped (process {stopped.pid}, {stopped.seconds:.1f} s)")
    if stopped.training:
        typer.echo(
            "in the background: writing the start cache, about a minute; later starts take 3 s"
        )


@app.command()
def status() -> None:
    """Say what runs; exit code 3 if nothing does."""
    from sagaworks import engine

    settings = Settings.load()
    found = engine.status(settings)
    if found is None:
        typer.echo("no engine runs here: sagaworks engine up")
        raise typer.Exit(NOT_RUNNING)
    typer.echo(_line(found))
    is_kept = _tell_history(settings, found)
    if not (found.ready and is_kept):
        raise typer.Exit(NOT_RUNNING)


@app.command()
def logs(
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines.")] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on showing what comes; end with Ctrl-C.")
    ] = False,
) -> None:
    """Show where the engine's log is, and its last lines."""
    from sagaworks.engine import Home
    from sagaworks.engine.logs import follow as follow_log
    from sagaworks.engine.logs import tail

    log = Home.of(Settings.load()).engine_log
    typer.echo(log, err=True)
    for line in tail(log, lines):
        typer.echo(line)
    if follow:
        for line in follow_log(log):
            typer.echo(line, nl=False)


@app.command()
def warm() -> None:
    """Write the start cache now: about half a minute, then the engine is ready in 3 s."""
    from sagaworks import engine
    from sagaworks.engine.progress import download_bar

    typer.echo("an engine runs on scratch data and writes its start cache")
    with download_bar() as progress:
        done = engine.warm(Settings.load(), progress=progress, on_note=_note)
    size = done.file.stat().st_size / 1e6
    typer.echo(f"start cache written: {done.file}, {size:.0f} MB, {done.seconds:.0f} s")


def _note(line: str) -> None:
    typer.echo(f"engine: {line}", err=True)


def _tell_history(settings: Settings, found: Engine) -> bool:
    """Say so if history doesn't answer, where one was started with the engine."""
    if found.history is None:
        return True
    from sagaworks.engine import Home
    from sagaworks.history import HistoryUnavailable, connect

    try:
        connect(found.history, token=settings.token).life()
    except HistoryUnavailable as error:
        typer.echo(f"{error}; see {Home.of(settings).history_log}")
        return False
    return True


def _line(engine: Engine) -> str:
    """Say in one line where it is and what it is."""
    if engine.pid is None:
        return f"engine at {engine.address} (ZEEBE_ADDRESS), version {engine.version}"
    state = "ready" if engine.ready else "not ready"
    if not engine.found and engine.ready_seconds is not None:
        state = f"ready after {engine.ready_seconds:.1f} s"
    back = f", brought back {engine.restarts} times" if engine.restarts else ""
    history = f"; history {engine.history}" if engine.history else ""
    process = f"process {engine.pid}{back}"
    return (
        f"engine {state} at {engine.address} (version {engine.version}, {process}; "
        f"{engine.java}; monitoring {engine.monitoring}{history})"
    )
