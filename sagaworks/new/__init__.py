"""A new project from a template: one saga, two services, their tests, and all that runs them.

The template is a folder of real files beside this module, checked like our own.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from string import Template
from typing import Final

from sagaworks.errors import ConfigurationError

TEMPLATE: Final = Path(__file__).with_name("template")

NAME: Final = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*", re.ASCII)
LONGEST: Final = 50
TAKEN: Final = "sagaworks"

NAMED: Final = ("pyproject.toml", "README.md")
"""The files in which ``$project`` stands for the project's name; nothing else is replaced."""

HIDDEN: Final = {"gitignore": ".gitignore"}
"""Files that would take effect here under their own name."""

MADE_BY_PYTHON: Final = shutil.ignore_patterns("__pycache__")


def make_project(name: str, where: Path) -> Path:
    """Make the project in a folder of its name; return the folder.

    Args:
        name: lower case, with hyphens or underscores.
        where: the folder that the project's folder is made in.

    Raises:
        ConfigurationError: the name can't be one, or the folder isn't empty.
        OSError: the folder can't be written.
    """
    folder = where / _checked(name)
    if not folder.is_dir() and (folder.exists() or folder.is_symlink()):
        raise ConfigurationError(f"{folder} is there already, and is no folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is there already, and isn't empty; take another name")
    shutil.copytree(
        TEMPLATE,
        folder,
        ignore=MADE_BY_PYTHON,
        copy_function=shutil.copyfile,  # not the modes: an installed file may be read-only
        dirs_exist_ok=True,
    )
    for file in NAMED:
        path = folder / file
        path.write_text(Template(path.read_text()).substitute(project=name))
    for file, hidden in HIDDEN.items():
        (folder / file).rename(folder / hidden)
    return folder


def _checked(name: str) -> str:
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        wanted = f"lower case letters, digits, - and _, at most {LONGEST}, such as my-shop"
        raise ConfigurationError(f"{name!r} can't be a project's name: {wanted}")
    if name == TAKEN:
        raise ConfigurationError(
            f"a project can't be called {TAKEN}: it couldn't install the library"
        )
    return name
