"""`sagaworks new`: a project to begin with."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer


def new(name: Annotated[str, typer.Argument(help="The project's name, such as my-shop.")]) -> None:
    """Make a small project that runs and tests at once: one saga, two services."""
    from sagaworks.new import make_project

    folder = make_project(name, Path.cwd())
    typer.echo(f"{name}: one saga, two services, and their tests")
    typer.echo(f"next: cd {folder.name} && make test{_which_python()}")


def _which_python() -> str:
    """Name our Python where the shell's `python` is another, which hasn't the library."""
    found = shutil.which("python")
    if found and Path(found).absolute() == Path(sys.executable).absolute():
        return ""
    return f" PYTHON={sys.executable}"
