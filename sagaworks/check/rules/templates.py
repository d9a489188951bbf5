"""Element templates that are older than the code: told by `sagaworks.templates`, explained here."""

from collections.abc import Iterator

from sagaworks.check.case import Case
from sagaworks.check.rule import rule
from sagaworks.finding import Finding


@rule(
    "stale-template",
    "error",
    "An element template that isn't what the code says",
    remedy="run `sagaworks templates`",
    source="templates are written from the steps' signatures",
    needs_code=True,
)
def stale_template(_: Case) -> Iterator[Finding]:
    """Whoever picks a step in the Modeler would draw one that isn't there, or ask for less."""
    yield from ()  # of a file beside the diagrams


@rule(
    "outdated-template",
    "warning",
    "A task drawn from an older template",
    remedy="select the task in the Modeler and update its template",
    source="templates are written from the steps' signatures",
    needs_code=True,
)
def outdated_template(_: Case) -> Iterator[Finding]:
    """The step's inputs, retries or codes have changed since it was picked."""
    yield from ()  # told by the templates, which know their versions
