"""The templates' files, one a service, in the folder where Camunda Modeler looks for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sagaworks.diagram import read_xml
from sagaworks.errors import ConfigurationError
from sagaworks.finding import Finding
from sagaworks.templates.template import id_of, template_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sagaworks.service import Service
    from sagaworks.step import Compensation, Step
    from sagaworks.templates.template import Template

FOLDER: Final = ".camunda/element-templates"
"""Beside the diagrams or above them: there the Modeler finds it by itself."""

STALE: Final = "stale-template"
REMEDY: Final = "run `sagaworks templates`"

_ZEEBE: Final = "{http://camunda.org/schema/zeebe/1.0}"


@dataclass(frozen=True, slots=True)
class Written:
    """One service's file.

    Attributes:
        changed: the ids of templates that are new or have a new version.
    """

    path: Path
    templates: int
    changed: tuple[str, ...]


def write(folder: Path, services: Iterable[Service]) -> list[Written]:
    """Write each service's templates; one that says the same as before keeps its version.

    A service's file holds what the service declares and nothing else; other files stay as they are.

    Raises:
        ConfigurationError: a file is there and isn't one of templates.
        OSError: the folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # All are made before one is written: a damaged file stops it before anything has changed.
    made = [(folder / f"{one.name}.json", *_made(folder, one)) for one in services]
    for path, templates, changed in made:
        if changed or not path.exists() or _text(templates) != path.read_text():
            path.write_text(_text(templates))
    return [Written(path, len(templates), changed) for path, templates, changed in made]


def stale(
    folder: Path, services: Sequence[Service], diagrams: Iterable[Path] = ()
) -> Iterator[Finding]:
    """Yield where templates differ from the code, and diagrams from their templates.

    Nothing where the folder isn't there: the project doesn't use templates.

    Raises:
        ConfigurationError: a file is there and isn't one of templates.
        NotADiagramError: a diagram can't be read.
    """
    if not folder.is_dir():
        return
    current: dict[str, int] = {}
    for service in services:
        path = folder / f"{service.name}.json"
        templates, changed = _made(folder, service)
        current |= {one["id"]: one["version"] for one in templates}
        for id_ in changed:
            what = f"the template `{id_}` isn't what the code says now"
            yield Finding("error", STALE, path, 0, "", what, REMEDY, frozenset({service.name}))
        for id_ in _gone(path, templates):
            what = f"the template `{id_}` is of a step that the code hasn't"
            yield Finding("error", STALE, path, 0, "", what, REMEDY, frozenset({service.name}))
    for diagram in diagrams:
        yield from _outdated(diagram, current)


def _made(folder: Path, service: Service) -> tuple[list[Template], tuple[str, ...]]:
    before = {one["id"]: one for one in _read(folder / f"{service.name}.json")}
    tasks: list[Step[..., Any] | Compensation[Any]] = [
        *service.steps.values(),
        *service.compensations.values(),
    ]
    templates = [_next(template_of(one), before.get(id_of(one))) for one in tasks]
    changed = tuple(one["id"] for one in templates if one != before.get(one["id"]))
    return templates, changed


def _next(template: Template, before: Template | None) -> Template:
    if before is None:
        return template
    same = {**template, "version": before["version"]}
    return same if same == before else {**template, "version": before["version"] + 1}


def _gone(path: Path, templates: Iterable[Template]) -> list[str]:
    there = {one["id"] for one in templates}
    return [one["id"] for one in _read(path) if one["id"] not in there]


def _outdated(diagram: Path, current: Mapping[str, int]) -> Iterator[Finding]:
    for element in read_xml(diagram).iter():
        id_ = element.get(f"{_ZEEBE}modelerTemplate")
        version = element.get(f"{_ZEEBE}modelerTemplateVersion", "0")
        if id_ in current and version != str(current[id_]):
            what = f"made from version {version} of the template `{id_}`, current is {current[id_]}"
            remedy = "update it in the Modeler: select the element, Template, Update"
            line, name = element.sourceline or 0, element.get("id", "")
            yield Finding("warning", "outdated-template", diagram, line, name, what, remedy)


def _text(templates: Sequence[Template]) -> str:
    return json.dumps(templates, indent=2, ensure_ascii=False) + "\n"


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        templates = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise ConfigurationError(f"{path}: no JSON ({error}); {_AGAIN}") from None
    if not (isinstance(templates, list) and all(_is_template(one) for one in templates)):
        raise ConfigurationError(f"{path}: no list of element templates; {_AGAIN}")
    return templates


_AGAIN: Final = "move it away, and run `sagaworks templates` again"


def _is_template(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("id"), str)
        and isinstance(value.get("version"), int)
    )
