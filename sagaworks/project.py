"""The project, from `[tool.sagaworks]` in pyproject.toml: its services, diagrams, migrations."""

from __future__ import annotations

import difflib
import importlib
import re
import sys
import tomllib
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeGuard

from sagaworks.errors import ConfigurationError, SagaworksError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import ModuleType

    from sagaworks.service import Service

_PROJECT_FILE = "pyproject.toml"


@dataclass(frozen=True)
class Project:
    """The services, diagrams and migrations that `[tool.sagaworks]` names."""

    root: Path
    services: tuple[str, ...]
    diagrams: tuple[str, ...] = ("bpmn/*.bpmn",)
    migrations: str = "models/migrations/{service}"

    @classmethod
    def load(cls, start: Path | None = None) -> Self:
        """Find the project upward from `start` (the current folder) and read its table.

        Raises:
            ConfigurationError: there is none, or its table is wrong.
        """
        here = (start or Path.cwd()).resolve()
        root = root_above(here)
        if root is None:
            why = f"no {_PROJECT_FILE} with a [tool.sagaworks] table in {here} or above it"
            raise ConfigurationError(f"{why}: change to your project's folder, or add the table")
        return cls(root, **_project_values(_table(root / _PROJECT_FILE) or {}, root))

    def service_names(self) -> tuple[str, ...]:
        """The services' names as the table has them: what comes after each colon."""
        return tuple(entry.partition(":")[2] for entry in self.services)

    def service(self, name: str) -> Service:
        """Import one service only: a worker must not carry its neighbours' code.

        Raises:
            ConfigurationError: nobody has this name, or its module can't be imported.
        """
        for entry in self.services:
            if entry.partition(":")[2] == name:
                service = self._load(entry)
                if service.name == name:
                    return service
        known = {service.name: service for service in self.load_services()}
        if name not in known:
            hint = nearest(name, known) or f"known are {', '.join(sorted(known)) or 'none'}"
            raise ConfigurationError(f"no service {name!r} in [tool.sagaworks] services: {hint}")
        return known[name]

    def load_services(self) -> list[Service]:
        """Import every service, in the table's order."""
        services = [self._load(entry) for entry in self.services]
        names = [service.name for service in services]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError(f"[tool.sagaworks] services: {', '.join(twice)} named twice")
        return services

    def diagram_files(self) -> list[Path]:
        """The diagrams of all globs, each once, sorted.

        Raises:
            ConfigurationError: a glob finds nothing.
        """
        found: set[Path] = set()
        for pattern in self.diagrams:
            matches = set(self.root.glob(pattern))
            if not matches:
                why = f"[tool.sagaworks] diagrams: nothing matches {pattern!r} in {self.root}"
                raise ConfigurationError(why)
            found |= matches
        return sorted(found)

    def migrations_folder(self, service: str) -> Path:
        """Where the service keeps its Alembic revisions."""
        return self.root / self.migrations.format(service=service)

    def make_importable(self) -> None:
        """Put the project's folder on the path: an installed command has only its own there."""
        if str(self.root) not in sys.path:
            sys.path.insert(0, str(self.root))

    def _load(self, entry: str) -> Service:
        # Only here: half a second of imports that reading the settings doesn't need.
        from sagaworks.service import Service  # noqa: PLC0415

        self.make_importable()
        module_name, _, attribute = entry.partition(":")
        found = getattr(_import(module_name, self.root), attribute, None)
        if not isinstance(found, Service):
            what = "has no such name" if found is None else "is not a sagaworks.Service"
            raise ConfigurationError(f"[tool.sagaworks] services: {entry!r} {what}")
        return found


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the hint for a name nobody has: what was probably meant."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else None


def root_above(start: Path) -> Path | None:
    """Return the nearest folder, from `start` upward, whose pyproject.toml has our table."""
    for folder in (start, *start.parents):
        if _table(folder / _PROJECT_FILE) is not None:
            return folder
    return None


def _table(file: Path) -> dict[str, Any] | None:
    try:
        content = tomllib.loads(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: {error}") from error
    table = content.get("tool", {}).get("sagaworks")
    if table is not None and not isinstance(table, dict):
        raise ConfigurationError(f"{file}: [tool.sagaworks] is not a table")
    return table


def _project_values(table: dict[str, Any], root: Path) -> dict[str, Any]:
    problems = [*_table_problems(table)]
    if problems:
        raise ConfigurationError(f"{root / _PROJECT_FILE} [tool.sagaworks]: {'; '.join(problems)}")
    values = {name: table[name] for name in _TABLE if name in table}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def _is_services(value: object) -> bool:
    entry = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)
    return _is_words(value) and all(entry.fullmatch(word) for word in value)


def _is_words(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def _is_globs(value: object) -> bool:
    return _is_words(value) and not any(Path(word).is_absolute() for word in value)


def _is_template(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[^{}]*\{service\}[^{}]*", value) is not None


_TABLE: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "services": (_is_services, 'a list such as ["workers.orders:orders"]'),
    "diagrams": (_is_globs, 'a list of relative globs such as ["bpmn/*.bpmn"]'),
    "migrations": (_is_template, "a path with {service} in it"),
}


def _table_problems(table: Mapping[str, object]) -> Iterator[str]:
    for name in table:
        if name not in _TABLE:
            yield f"{name}: no such key, known are {', '.join(_TABLE)}"
    if "services" not in table:
        yield f"services: missing, {_TABLE['services'][1]}"
    for name, (is_right, wanted) in _TABLE.items():
        if name in table and not is_right(table[name]):
            yield f"{name}: must be {wanted}"


def _import(name: str, root: Path) -> ModuleType:
    """Import a user's module; what is wrong with it becomes one line with its place."""
    try:
        return importlib.import_module(name)
    except SagaworksError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{_place(error, root)}: {error} (importing {name})") from error


def _place(error: Exception, root: Path) -> str:
    """Where it happened: the innermost line of the project's own code."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(str(root))
    ]
    kind = type(error).__name__
    if not frames:
        return f"[tool.sagaworks] services: {kind}"
    file = Path(frames[-1].filename).relative_to(root)
    return f"{file}:{frames[-1].lineno}: {kind}"
