"""Refusals, and who catches them."""

from collections.abc import Iterator

from sagaworks.check.case import Case
from sagaworks.check.catching import catcher_of, codes_thrown, throwers
from sagaworks.check.node import Node
from sagaworks.check.rule import rule
from sagaworks.finding import Finding


@rule(
    "uncaught-refusal",
    "error",
    "An error code that nothing catches",
    remedy="draw the undo event sub-process at the root, started by an error event without a code",
    source="measured: an incident, nothing is compensated, the saga hangs",
)
def uncaught_refusal(case: Case) -> Iterator[Finding]:
    """A refusal without a catching event stops the saga where it is, with all that it has done."""
    for one, code in _uncaught(case):
        if catcher_of(case.graph, one, code, rethrown=True) is None:
            yield case.found("uncaught-refusal", one, f"nothing catches {code or 'its error'}")


@rule(
    "rethrow-not-caught",
    "error",
    "An error from an undo event sub-process that looks caught",
    remedy="catch it on the task itself, undo there, and end in the error; or end without one",
    source="measured: the saga hangs",
)
def rethrow_not_caught(case: Case) -> Iterator[Finding]:
    """An event sub-process has ended its scope already: the scope's edge catches nothing more."""
    for one, code in _uncaught(case):
        caught = catcher_of(case.graph, one, code, rethrown=True)
        if caught is not None:
            what = f"`{caught.id}` doesn't catch {code or 'it'}: this scope has ended already"
            yield case.found("rethrow-not-caught", one, what)


def _uncaught(case: Case) -> Iterator[tuple[Node, str]]:
    for one in throwers(case, case.graph.process):
        if case.kind(one) == "retriable" or case.is_undoing(one):
            continue
        for code in sorted(code for code in codes_thrown(case, one) if code is not None):
            if catcher_of(case.graph, one, code) is None:
                yield one, code


@rule(
    "unthrown-code",
    "warning",
    "An event that catches a code nobody throws",
    remedy="correct the code, or remove the event",
    source="the contract between code and diagram",
    needs_code=True,
)
def unthrown_code(case: Case) -> Iterator[Finding]:
    """Often the other half of a mistyped code: the refusal that was meant isn't caught here."""
    for one in case.graph.nodes.values():
        if one.event != "error" or not one.ref or one.kind not in ("boundaryEvent", "startEvent"):
            continue
        thrown = {code for source in _sources(case, one) for code in codes_thrown(case, source)}
        if None not in thrown and one.ref not in thrown:
            yield case.found("unthrown-code", one, f"nothing in reach throws {one.ref}")


def _sources(case: Case, event: Node) -> Iterator[Node]:
    if event.is_boundary:
        yield case.graph.nodes[event.host]
        yield from throwers(case, event.host)
        return
    around = case.graph.nodes[event.scope].scope if event.scope in case.graph.nodes else ""
    for one in throwers(case, around):
        if not case.graph.holds(event.scope, one.id):
            yield one
