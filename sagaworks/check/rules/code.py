"""Where diagram and code disagree: told by the start-up contract, explained here."""

from collections.abc import Iterator

from sagaworks.check.case import KINDS, Case
from sagaworks.check.reading import IGNORE
from sagaworks.check.rule import RULES, rule
from sagaworks.finding import Finding

LEAVES = ("undo", "keep")
PROPERTIES = ("saga.kind", "saga.leave", "saga.inputs", IGNORE)


@rule(
    "unknown-step",
    "error",
    "A job type without a step",
    remedy="declare the step, or correct the job type",
    source="the contract between code and diagram",
    needs_code=True,
)
def unknown_step(case: Case) -> Iterator[Finding]:
    """No worker asks for such jobs: the saga would wait there for ever."""
    return case.contract("unknown-step")


@rule(
    "undrawn-step",
    "error",
    "A step without a task in any diagram",
    remedy="draw it, or remove it from the code",
    source="the contract between code and diagram",
    needs_code=True,
)
def undrawn_step(_: Case) -> Iterator[Finding]:
    """Code that never runs. Often it's the other half of a mistyped job type."""
    yield from ()  # of the code, not of a diagram: the contract tells it


@rule(
    "mistyped-service",
    "warning",
    "A job type much like one of ours, but of no service we know",
    remedy="correct the job type",
    source="the contract between code and diagram",
    needs_code=True,
)
def mistyped_service(case: Case) -> Iterator[Finding]:
    """Job types of other people are theirs; one letter away from our own, it's a mistake."""
    return case.contract("mistyped-service")


@rule(
    "no-job-type",
    "error",
    "A service task without a job type",
    remedy="set it: `<service>.<step>`",
    source="measured: the engine refuses to deploy it",
)
def no_job_type(case: Case) -> Iterator[Finding]:
    """Nobody can carry it out."""
    return case.contract("no-job-type")


@rule(
    "one-name",
    "error",
    "An element whose id isn't the step's name",
    remedy="give the element the step's name as its id",
    source="one name, four places: function, element, job type, ledger",
    needs_code=True,
)
def one_name(case: Case) -> Iterator[Finding]:
    """Searching for one name finds the diagram, the code, the log and the ledger's row."""
    return case.contract("one-name")


@rule(
    "file-name",
    "warning",
    "A file called otherwise than its process",
    remedy="give the file its process' name",
    source="one name for file, process and saga",
    needs_code=True,
)
def file_name(case: Case) -> Iterator[Finding]:
    """The saga is started by the process' id; people look for a file of that name."""
    return case.contract("file-name")


@rule(
    "kind-differs",
    "error",
    "A `saga.kind` other than in the code",
    remedy="correct one of them",
    source="the code's declaration decides",
    needs_code=True,
)
def kind_differs(case: Case) -> Iterator[Finding]:
    """A reader of the diagram would believe in a pivot, or in an undo, that isn't."""
    return case.contract("kind-differs")


@rule(
    "undeclared-step",
    "warning",
    "A job of other people, of which nobody says what it does",
    remedy="give it the property `saga.kind`: compensatable, pivot, retriable or read_only",
    source="what isn't known to be harmless isn't",
    needs_code=True,
)
def undeclared_step(case: Case) -> Iterator[Finding]:
    """Whether it needs an undo can't be checked until the diagram says what kind of step it is."""
    known = {service.name for service in case.known.services or ()}
    for one in case.tasks:
        job_type = one.task.job_type if one.task else ""
        ours = job_type.partition(".")[0] in known or not job_type
        if case.has_code and not ours and case.kind(one) is None:
            yield case.found("undeclared-step", one, f"nobody here declares `{job_type}`")


@rule(
    "library-variable",
    "error",
    "A mapping that writes a variable of the library",
    remedy="name the variable otherwise",
    source="variables that begin with `saga_` are the library's",
)
def library_variable(case: Case) -> Iterator[Finding]:
    """`saga_key` says which saga it is; overwritten, the steps belong to another saga."""
    return case.contract("library-variable")


@rule(
    "retries",
    "error",
    "Retries below one, or no number",
    remedy="set it to 1 or more",
    source="measured: the job is handed out once, and never again",
)
def retries(case: Case) -> Iterator[Finding]:
    """The first lost connection would stop the saga until a person sees to it."""
    return case.contract("retries")


@rule(
    "saga-property",
    "error",
    "A `saga.` property that means nothing",
    remedy="correct its name or its value",
    source="known are saga.kind, saga.leave, saga.inputs and saga.ignore",
)
def saga_property(case: Case) -> Iterator[Finding]:
    """A mistyped declaration declares nothing, without a word."""
    for one in case.graph.nodes.values():
        for name, value in one.properties.items():
            if problem := _problem_of(name, value):
                yield case.found("saga-property", one, problem)
        for value in one.ignores:
            if problem := _problem_of_ignoring(value):
                yield case.found("saga-property", one, problem)


def _problem_of(name: str, value: str) -> str:
    if not name.startswith("saga."):
        return ""
    if name not in PROPERTIES:
        return f"nothing is called `{name}`"
    allowed = {"saga.kind": KINDS, "saga.leave": LEAVES}.get(name)
    if allowed and value not in allowed:
        return f"`{name}` is `{value}`; it's one of {', '.join(allowed)}"
    return ""


def _problem_of_ignoring(value: str) -> str:
    rules, _, reason = value.partition(":")
    unknown = [one for one in rules.replace(",", " ").split() if one not in RULES]
    if unknown:
        return f"`{IGNORE}` names `{unknown[0]}`, which is no rule"
    if not rules.strip() or not reason.strip():
        return f"`{IGNORE}` is written `rule: reason`, and has no reason"
    return ""


@rule(
    "unused-ignore",
    "warning",
    "A rule that is switched off where it isn't broken",
    remedy="remove the property",
    source="what is switched off for no reason hides the next mistake",
)
def unused_ignore(_: Case) -> Iterator[Finding]:
    """The element doesn't break the rule that its property `saga.ignore` names."""
    yield from ()  # known only after all other rules
