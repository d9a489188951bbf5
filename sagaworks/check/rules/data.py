"""The variables that steps need, and who produces them."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Final

from sagaworks.check.rule import rule
from sagaworks.check.variables import kinds_of, misfit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sagaworks.check.case import Case
    from sagaworks.check.variables import Reading, Variables
    from sagaworks.finding import Finding

ALIKE: Final = 0.88
"""How alike two names are that one letter or two tell apart."""


@rule(
    "missing-variable",
    "error",
    "A variable that nothing produces",
    remedy="ask for it after the step that produces it, or under its right name",
    source="measured: the engine hands out null, without a word",
)
def missing_variable(case: Case) -> Iterator[Finding]:
    """A fact is there once its step is done, under the fact's name.

    Variables that a saga is started with aren't drawn. Where the process names them by its property
    `saga.inputs`, everything else must be produced; else only facts, and names much like them, are
    known to be none of them.
    """
    variables = case.variables
    for reading in variables.readings:
        if remedy := _why_missing(case, variables, reading):
            what = f"asks for `{reading.name}`, which nothing before it produces"
            yield case.found("missing-variable", reading.node, what, remedy)


def _why_missing(case: Case, variables: Variables, reading: Reading) -> str:
    """Return the remedy where the variable can't be there; else empty."""
    name = reading.name
    if reading.optional or name in variables.inputs or variables.may_be_there(reading):
        return ""
    facts = case.known.facts
    if name in facts:
        return "" if case.graph.process in _called(case) else f"it's what `{facts[name]}` returns"
    if variables.inputs and name not in variables.producers:
        near = get_close_matches(name, [*variables.inputs, *facts], n=1)
        return f"did you mean `{near[0]}`?" if near else "produce it, or name it in `saga.inputs`"
    near = _fact_like(name, tuple(facts))
    if near and name not in variables.producers and len(variables.readers[name]) == 1:
        return f"did you mean `{near[0]}`?"
    return ""


@cache
def _fact_like(name: str, facts: tuple[str, ...]) -> list[str]:
    return get_close_matches(name, facts, n=1, cutoff=ALIKE)


def _called(case: Case) -> set[str]:
    """Return the processes that others call, and give variables to."""
    others = case.known.cases.values()
    return {node.called for one in others for node in one.graph.nodes.values() if node.called}


@rule(
    "sometimes-missing-variable",
    "warning",
    "A variable that isn't produced on every way",
    remedy="let every way come by the step that produces it, or take the parameter as optional",
    source="measured: the engine hands out null, without a word",
)
def sometimes_missing_variable(case: Case) -> Iterator[Finding]:
    """On some way to this step the one that produces the variable isn't done."""
    variables = case.variables
    for reading in variables.readings:
        name = reading.name
        if reading.optional or name in variables.inputs or name not in variables.producers:
            continue
        if variables.may_be_there(reading) and not variables.must_be_there(reading):
            makers = ", ".join(f"`{one}`" for one in sorted(variables.producers[name]))
            what = f"asks for `{name}`, but there's a way here without {makers}"
            yield case.found("sometimes-missing-variable", reading.node, what)


@rule(
    "variable-type",
    "error",
    "A variable of another type than its reader expects",
    remedy="let both sides speak of one type",
    source="the contract between steps: what one returns the other reads",
    needs_code=True,
)
def variable_type(case: Case) -> Iterator[Finding]:
    """The step would halt on it, after the steps before it are done."""
    variables = case.variables
    made = {name: case.known.steps[step].fact for name, step in case.known.facts.items()}
    asked: dict[str, Reading] = {}
    for reading in variables.readings:
        if reading.annotation is None:
            continue
        name = reading.name
        if name in made:
            if problem := misfit(made[name], reading.annotation, name):
                yield case.found("variable-type", reading.node, problem)
            continue
        first = asked.setdefault(name, reading)
        if not kinds_of(first.annotation) & kinds_of(reading.annotation):
            what = f"`{name}` is {reading.type_name} here, but {first.type_name}"
            yield case.found("variable-type", reading.node, f"{what} for `{first.node.id}`")
