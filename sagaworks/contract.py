"""The contract between code and diagrams: every job has its step, every step its task and undo."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sagaworks.diagram import Diagram, Element, Task
from sagaworks.errors import ContractError
from sagaworks.finding import Finding, Severity
from sagaworks.saga import RESERVED_PREFIX

if TYPE_CHECKING:
    # A diagram is also checked where there is no code, without the weight of the models.
    from collections.abc import Iterator, Sequence

    from sagaworks.service import Service
    from sagaworks.step import Compensation, Step

    Declared = Step[..., Any] | Compensation[Any]

EXPRESSION: Final = "="
"""How FEEL begins; what it gives is known at run time only."""


def check_contract(
    services: Sequence[Service], diagrams: Sequence[Diagram], *, only: str | None = None
) -> list[Finding]:
    """Return where `services` and `diagrams` disagree, in the diagrams' order, then the code's.

    Args:
        services: their names, and only theirs, are known as first parts of job types.
        diagrams: all that the services take part in.
        only: the name of the service to whose jobs the check is limited.
    """
    contract = _Contract(services, diagrams)
    findings = dict.fromkeys([*contract.of_diagrams(), *contract.of_code()])
    return [one for one in findings if only is None or only in one.services or not one.services]


def demand_contract(
    services: Sequence[Service], diagrams: Sequence[Diagram], *, only: str | None = None
) -> None:
    """Refuse to go on where `services` and `diagrams` disagree.

    Raises:
        ContractError: one line for each error, then for each warning: it may be an error's cause.
    """
    findings = check_contract(services, diagrams, only=only)
    if any(one.severity == "error" for one in findings):
        findings.sort(key=lambda one: one.severity)
        raise ContractError("\n".join(str(one) for one in findings))


class _Contract:
    def __init__(self, services: Sequence[Service], diagrams: Sequence[Diagram]) -> None:
        self.services = {service.name: service for service in services}
        self.steps = {one.job_type: one for each in services for one in each.steps.values()}
        self.undos = {one.job_type: one for each in services for one in each.compensations.values()}
        self.declared: dict[str, Declared] = {**self.steps, **self.undos}
        self.diagrams = diagrams

    def of_diagrams(self) -> Iterator[Finding]:
        for diagram in self.diagrams:
            yield from _of_file(diagram)
            for task in diagram.tasks.values():
                yield from self._of_task(diagram, task)
            for element in diagram.elements.values():
                yield from self._of_variables(diagram, element)

    def of_code(self) -> Iterator[Finding]:
        drawn = {task.job_type for diagram in self.diagrams for task in diagram.tasks.values()}
        for job_type, declared in self.declared.items():
            if job_type not in drawn:
                what = "no task in any diagram"
                remedy = f"draw one with job type `{job_type}`, or remove it from the code"
                yield _in_code(declared, what, remedy)

    def _of_task(self, diagram: Diagram, task: Task) -> Iterator[Finding]:
        declared = self.declared.get(task.job_type)
        step = self.steps.get(task.job_type)
        if declared is None:
            yield from self._of_unknown(diagram, task)
        else:
            yield from _of_name(diagram, task, declared)
        yield from _of_retries(diagram, task)
        if step is not None:
            yield from _of_kind(diagram, task, step)
            yield from _of_repetition(diagram, task, step)
            yield from self._of_undo(diagram, task, step)
        yield from self._of_handler(diagram, task)

    def _of_unknown(self, diagram: Diagram, task: Task) -> Iterator[Finding]:
        job_type = task.job_type
        if job_type.startswith(EXPRESSION):
            return
        if not job_type:
            yield _drawn(diagram, task, "no-job-type", "no job type", "set it: `<service>.<step>`")
            return
        near = get_close_matches(job_type, self.declared, n=1, cutoff=0.75)
        hint = f"did you mean `{near[0]}`?" if near else "declare it, or correct the job type"
        if _service_of(job_type) in self.services:
            yield _drawn(diagram, task, "unknown-step", f"no step `{job_type}`", hint)
        elif near:
            what = f"`{job_type}` is no service's of this project"
            yield _drawn(diagram, task, "mistyped-service", what, hint, severity="warning")

    def _of_undo(self, diagram: Diagram, task: Task, step: Step[..., Any]) -> Iterator[Finding]:
        if task.is_compensation or task.undoes:
            what = f"undoes `{task.undoes}` as drawn, but `{step.job_type}` is a step in code"
            remedy = "give the handler its compensation's job type"
            yield _drawn(diagram, task, "wrong-handler", what, remedy)
        elif step.kind == "compensatable" and task.handler is None:
            remedy = _remedy_for_no_undo(step)
            yield _drawn(diagram, task, "no-undo", "nothing undoes it", remedy)
        elif step.undo is None and task.handler is not None:
            what = f"undone by `{task.handler}` as drawn, but it has no compensation in code"
            remedy = _remedy_for_no_compensation(step)
            yield _drawn(diagram, task, "wrong-handler", what, remedy)

    def _of_handler(self, diagram: Diagram, task: Task) -> Iterator[Finding]:
        undo = self.undos.get(task.job_type)
        if task.undoes is None and undo is not None and not diagram.is_in_handler(task.id):
            what = f"undoes nothing as drawn, but in code it undoes `{undo.step.job_type}`"
            remedy = "connect it to that step's compensation event"
            yield _drawn(diagram, task, "orphan-handler", what, remedy)
        host = diagram.tasks.get(task.undoes or "")
        if host is None or self._unreadable(host) or self._unreadable(task):
            return
        step = self.steps.get(host.job_type)
        wanted = step.undo.job_type if step and step.undo else None
        remedy = _remedy_for_handler(host, wanted)
        if undo is not None and undo.step.job_type != host.job_type:
            what = f"undoes `{host.id}` as drawn, but in code it undoes `{undo.step.job_type}`"
            yield _drawn(diagram, task, "wrong-handler", what, remedy, host)
        elif wanted and task.job_type not in self.declared:
            what = f"undoes `{host.id}` as drawn, but in code `{wanted}` does"
            yield _drawn(diagram, task, "wrong-handler", what, remedy, host)

    def _unreadable(self, task: Task) -> bool:
        """Whether nobody can say what the task does, or `_of_unknown` has said it already."""
        unknown = task.job_type not in self.declared and _service_of(task.job_type) in self.services
        return unknown or not task.job_type or task.job_type.startswith(EXPRESSION)

    def _of_variables(self, diagram: Diagram, element: Element) -> Iterator[Finding]:
        inputs = () if element.kind == "callActivity" else element.inputs
        for target, _ in (*inputs, *element.outputs):
            if target.startswith(RESERVED_PREFIX):
                what = f"a mapping writes `{target}`, which is the library's"
                remedy = "name the variable otherwise"
                yield _drawn(diagram, element, "library-variable", what, remedy)


def _of_file(diagram: Diagram) -> Iterator[Finding]:
    if diagram.path.stem != diagram.process_id:
        id_ = diagram.process_id
        what, remedy = "file and process have two names", f"call it `{id_}.bpmn`"
        yield Finding("warning", "file-name", diagram.path, diagram.line, id_, what, remedy)


def _of_name(diagram: Diagram, task: Task, declared: Declared) -> Iterator[Finding]:
    if task.id == declared.name:
        return
    # Ids are unique; where a step is drawn twice, each id begins with its name.
    drawn = [one for one in diagram.tasks.values() if one.job_type == task.job_type]
    if len(drawn) == 1 or not task.id.startswith(f"{declared.name}_"):
        what = f"its job type is `{task.job_type}`"
        remedy = f"give the element the id `{declared.name}`"
        yield _drawn(diagram, task, "one-name", what, remedy)


def _of_retries(diagram: Diagram, task: Task) -> Iterator[Finding]:
    if isinstance(task.retries, int) and task.retries < 1:
        what = f"retries is {task.retries}, so a failing job is never offered again"
        yield _drawn(diagram, task, "retries", what, "set it to 1 or more")
    elif isinstance(task.retries, str) and not task.retries.startswith(EXPRESSION):
        what = f"retries is `{task.retries}`"
        yield _drawn(diagram, task, "retries", what, "set it to a number")


def _of_kind(diagram: Diagram, task: Task, step: Step[..., Any]) -> Iterator[Finding]:
    if task.saga_kind is not None and task.saga_kind != step.kind:
        what = f"saga.kind is `{task.saga_kind}`, but the code says `{step.kind}`"
        yield _drawn(diagram, task, "kind-differs", what, "correct one of them")


def _of_repetition(diagram: Diagram, task: Task, step: Step[..., Any]) -> Iterator[Finding]:
    if step.each is not None or step.kind == "read_only":
        return
    way = "for each item of a list" if task.multi_instance else "again and again, in a loop"
    if task.multi_instance or task.id in diagram.loops:
        what = f"runs {way}, but nothing tells its runs apart"
        remedy = 'declare the parameter that does: `step(each="…")`'
        yield _drawn(diagram, task, "no-each", what, remedy)


def _remedy_for_no_undo(step: Step[..., Any]) -> str:
    if step.undo:
        return f"draw its compensation event and the handler `{step.undo.job_type}`"
    other = 'or declare the step `kind="pivot"`, `"retriable"` or `"read_only"`'
    return f"write `@{step.name}.compensation` and draw it, {other}"


def _remedy_for_no_compensation(step: Step[..., Any]) -> str:
    if step.kind == "compensatable":
        return f"write `@{step.name}.compensation`, or remove the handler"
    return f"a {step.kind} step isn't undone: remove the handler"


def _remedy_for_handler(host: Task, wanted: str | None) -> str:
    if wanted:
        return f"the handler of `{host.id}` is `{wanted}`"
    return "connect it to that step's compensation event"


def _service_of(job_type: str) -> str:
    return job_type.partition(".")[0]


def _drawn(  # noqa: PLR0913  a finding's parts
    diagram: Diagram,
    element: Element,
    rule: str,
    what: str,
    remedy: str,
    *others: Task,
    severity: Severity = "error",
) -> Finding:
    tasks = [one for one in (element, *others) if isinstance(one, Task)]
    services = frozenset(_service_of(task.job_type) for task in tasks)
    path, line, id_ = diagram.path, element.line, element.id
    return Finding(severity, rule, path, line, id_, what, remedy, services)


def _in_code(declared: Declared, what: str, remedy: str) -> Finding:
    code = declared.function.__code__
    path, services = Path(code.co_filename), frozenset([declared.service.name])
    line = code.co_firstlineno
    return Finding("error", "undrawn-step", path, line, declared.name, what, remedy, services)
