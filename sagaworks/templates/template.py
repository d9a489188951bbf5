"""One element template, as Camunda's schema for Camunda 8 has it, from one step or compensation.

Source: https://docs.camunda.io/docs/components/modeler/desktop-modeler/element-templates/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sagaworks.check.refusals import codes_of
from sagaworks.step import Compensation
from sagaworks.templates import fields

if TYPE_CHECKING:
    from sagaworks.step import Step

    Template = dict[str, Any]

SCHEMA: Final = "@camunda/zeebe-element-templates-json-schema/resources/schema.json"
"""The package's own name: by it the modelers tell a Camunda 8 template from a Camunda 7 one."""

RETRIES: Final = 5
UNDO_RETRIES: Final = 10
"""An undo is tried for longer: there is no other way on."""

ENGINES: Final = {"camunda": "^8.6"}

_GROUPS: Final = {"input": "Input", "saga": "Saga", "reliability": "Reliability"}


def template_of(task: Step[..., Any] | Compensation[Any], version: int = 1) -> Template:
    """Return the template that makes a task this step, or this compensation."""
    undoes = task.step if isinstance(task, Compensation) else None
    properties = _properties(task)
    used = {one.get("group") for one in properties}
    return {
        "$schema": SCHEMA,
        "name": task.name.replace("_", " ").capitalize(),
        "id": id_of(task),
        "version": version,
        "description": _description(task),
        "engines": ENGINES,
        "category": _category(task.service.name, undo=undoes is not None),
        "appliesTo": ["bpmn:Task", "bpmn:ServiceTask"],
        "elementType": {"value": "bpmn:ServiceTask"},
        "groups": [{"id": id_, "label": label} for id_, label in _GROUPS.items() if id_ in used],
        "properties": properties,
    }


def id_of(task: Step[..., Any] | Compensation[Any]) -> str:
    """Return the id by which a diagram names the template it used."""
    return f"sagaworks.{task.job_type}"


def _properties(task: Step[..., Any] | Compensation[Any]) -> list[fields.Field]:
    job_type = {"type": "zeebe:taskDefinition", "property": "type"}
    found = [fields.hidden(task.job_type, job_type)]
    if isinstance(task, Compensation):
        # An undo gets its fact from the ledger: there is nothing to map in.
        asked = [fields.undo_runs(task.step)] if task.step.each else []
        return [*found, *asked, fields.retries(UNDO_RETRIES)]
    kind = {"type": "zeebe:property", "name": "saga.kind"}
    found.append(fields.hidden(task.kind, kind))
    return [*found, *fields.inputs(task), fields.retries(RETRIES)]


def _category(service: str, *, undo: bool) -> dict[str, str]:
    what = "undo" if undo else "steps"
    return {"id": f"sagaworks-{service}-{what}", "name": f"{service.capitalize()}: {what}"}


def _description(task: Step[..., Any] | Compensation[Any]) -> str:
    first = " ".join(task.doc.partition("\n\n")[0].replace("`", "").split())
    return " ".join(filter(None, [first, *_said(task)]))


def _said(task: Step[..., Any] | Compensation[Any]) -> list[str]:
    if isinstance(task, Compensation):
        return [f"Undoes {task.step.name}: connect it to that step's compensation event."]
    codes = sorted(codes_of(task.function))
    return [
        f"Refuses {', '.join(codes)}." if codes else "",
        f"Gives {task.fact_variable}." if task.fact_variable else "",
        f"Repeated, `{task.each}` tells its runs apart." if task.each else "",
    ]
