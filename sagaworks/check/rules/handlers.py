"""What undoes a step, and how it's joined to it."""

from collections.abc import Iterator

from sagaworks.check.case import Case
from sagaworks.check.catching import catcher_of
from sagaworks.check.node import Node
from sagaworks.check.rule import rule
from sagaworks.finding import Finding


@rule(
    "no-undo",
    "error",
    "A step with effects that nothing undoes",
    remedy="draw its compensation event and a handler, or declare what kind of step it is by "
    "`saga.kind`: pivot, retriable or read_only",
    source="Garcia-Molina and Salem, Sagas, 1987: each step but the last has its compensation",
)
def no_undo(case: Case) -> Iterator[Finding]:
    """When a later step refuses, what this one did stays done, and nobody is told."""
    yield from case.contract("no-undo")
    for one in case.effects:
        if case.step(one) is None and one.id not in case.graph.handlers:
            yield case.found("no-undo", one, "nothing undoes it")


@rule(
    "wrong-handler",
    "error",
    "A handler that isn't the step's compensation",
    remedy="give the handler the job type of its step's compensation",
    source="the contract between code and diagram",
    needs_code=True,
)
def wrong_handler(case: Case) -> Iterator[Finding]:
    """The ledger would look for an effect of another step, find none, and undo nothing."""
    yield from case.contract("wrong-handler")
    for host, handlers in case.graph.handlers.items():
        handler, node = case.graph.nodes.get(handlers[0]), case.graph.nodes.get(host)
        if handler is None or handler.task is None or handler.task.undoes == host or node is None:
            continue
        step, undo = case.step(node), case.known.undos.get(handler.task.job_type)
        if undo is not None and undo.step is not step:
            what = f"undoes `{host}`, too, as drawn, but in code only `{undo.step.job_type}`"
            yield case.found("wrong-handler", handler, what)


@rule(
    "orphan-handler",
    "error",
    "A handler that no step is joined to",
    remedy="connect it to the step's compensation event",
    source="measured: it deploys, and never runs",
)
def orphan_handler(case: Case) -> Iterator[Finding]:
    """It looks as if something was undone here."""
    joined = {id_ for handlers in case.graph.handlers.values() for id_ in handlers}
    for told in case.contract("orphan-handler"):
        if told.element not in joined:
            yield told
    for one in case.handlers:
        known = one.task is not None and one.task.job_type in case.known.undos
        if one.id not in joined and not known:
            yield case.found("orphan-handler", one, "drawn as a handler, but it undoes nothing")


@rule(
    "two-handlers",
    "error",
    "Two handlers on one step",
    remedy="keep one; what must happen in turn goes into a sub-process as the handler",
    source="measured: only the first runs",
)
def two_handlers(case: Case) -> Iterator[Finding]:
    """The engine runs the first of them only, without a word."""
    for host, handlers in case.graph.handlers.items():
        if len(handlers) > 1 and host in case.graph.nodes:
            names = " and ".join(f"`{one}`" for one in handlers)
            yield case.found("two-handlers", case.graph.nodes[host], f"undone by {names}")


@rule(
    "undo-without-handler",
    "error",
    "A compensation event that leads to no handler",
    remedy="connect it to the handler by an association",
    source="measured: the engine refuses to deploy it",
)
def undo_without_handler(case: Case) -> Iterator[Finding]:
    """A boundary event for compensation is joined to its handler by an association, not a flow."""
    for event, host in case.graph.undo_events.items():
        if host not in case.graph.handlers:
            yield case.found("undo-without-handler", case.graph.nodes[event], "undoes by nothing")


@rule(
    "handler-in-flow",
    "error",
    "A handler with flows or boundary events",
    remedy="a handler stands alone: remove its flows and events",
    source="measured: the engine refuses a flow out of it; BPMN 2.0.2, section 10.7, allows none",
)
def handler_in_flow(case: Case) -> Iterator[Finding]:
    """A handler is outside the flow. With a flow into it, it runs when nothing is to be undone."""
    graph = case.graph
    for one in case.handlers:
        if graph.sources.get(one.id) or graph.targets.get(one.id):
            yield case.found("handler-in-flow", one, "a handler that stands in the flow")
        elif graph.boundaries.get(one.id) or one.id in graph.undo_events.values():
            yield case.found("handler-in-flow", one, "a handler with an event on its edge")


@rule(
    "handler-flag",
    "warning",
    "A handler that isn't marked as one",
    remedy="in the Modeler, make it a compensation task (`isForCompensation`)",
    source="BPMN 2.0.2, section 10.7: the target of a compensation association is marked",
)
def handler_flag(case: Case) -> Iterator[Finding]:
    """The engine runs it all the same; other tools take it for a task that is never reached."""
    for handlers in case.graph.handlers.values():
        one = case.graph.nodes.get(handlers[0])
        if one is not None and one.task is not None and not one.task.is_compensation:
            yield case.found("handler-flag", one, "undoes a step, but isn't marked as a handler")


@rule(
    "few-retries",
    "warning",
    "A step that must get through has one retry only",
    remedy="10 is a good number",
    source="retriable steps and compensations are the ones that may not give up",
)
def few_retries(case: Case) -> Iterator[Finding]:
    """A handler or a retriable step that fails once waits for a person, with the saga half done."""
    for one in (*case.tasks, *case.handlers):
        must = one.is_handler or case.kind(one) == "retriable"
        if must and one.task is not None and one.task.retries == 1:
            yield case.found("few-retries", one, "must get through, but retries is 1")


@rule(
    "call-without-undo",
    "error",
    "A call activity without a handler of its own",
    remedy="draw its compensation event and a handler, or declare by `saga.kind` that it is "
    "retriable or read_only",
    source="measured: the caller never runs the handlers inside of a called process",
)
def call_without_undo(case: Case) -> Iterator[Finding]:
    """What the called saga did stays done when the calling one is undone."""
    for one in case.graph.nodes.values():
        if one.kind != "callActivity" or one.id in case.graph.handlers or case.kind(one):
            continue
        child = case.known.cases.get(one.called)
        if child is None or child.effects:
            yield case.found("call-without-undo", one, f"nothing undoes `{one.called}`")


@rule(
    "undo-refuses",
    "info",
    "A compensation that may refuse",
    remedy="a refusal there becomes an incident: let it `Halt` where a person must look",
    source="what is undone can't be answered by no",
    needs_code=True,
)
def undo_refuses(case: Case) -> Iterator[Finding]:
    """The code of the compensation, or what it calls, names a refusal."""
    from sagaworks.check.refusals import codes_of  # noqa: PLC0415  with code only

    for one in case.handlers:
        undo = case.known.undos.get(one.task.job_type) if one.task else None
        codes = codes_of(undo.function) if undo else frozenset()
        if codes:
            names = ", ".join(f"`{code}`" for code in sorted(codes))
            yield case.found("undo-refuses", one, f"its code names {names}")


@rule(
    "error-in-handler",
    "error",
    "An error thrown inside of a handler",
    remedy="let a worker in it `Halt` where a person must look, and take the error event out",
    source="measured: where it is caught, all other running handlers are ended half way",
)
def error_in_handler(case: Case) -> Iterator[Finding]:
    """An undo that fails takes the others with it: some steps are undone, others aren't."""
    for one in case.graph.nodes.values():
        throws = one.kind == "endEvent" and one.event == "error"
        if throws and case.is_undoing(one) and not _is_caught_inside(case, one):
            yield case.found("error-in-handler", one, "ends the undo of other steps, too")


def _is_caught_inside(case: Case, end: Node) -> bool:
    event = catcher_of(case.graph, end, end.ref)
    return event is not None and case.is_undoing(event)
