"""A rule: what it is called, how grave a breach is, what to do, and how it is found."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sagaworks.check.case import Case
    from sagaworks.finding import Finding, Severity

    Find = Callable[[Case], Iterable[Finding]]

RULES: dict[str, Rule] = {}
"""All rules by id, in the order in which a diagram is checked."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of modelling.

    Attributes:
        id: a few words joined by hyphens; also the anchor in the reference.
        title: what is forbidden, as a heading.
        remedy: what to do where the finding says nothing of its own.
        source: what it follows from: a measurement of the engine, or the library's design.
        find: yields the findings in one diagram.
        needs_code: it compares with the services' code.
    """

    id: str
    severity: Severity
    title: str
    remedy: str
    source: str
    find: Find
    needs_code: bool = False

    @property
    def why(self) -> str:
        """The function's docstring: what goes wrong, for the reference."""
        return inspect.getdoc(self.find) or ""


def rule(  # noqa: PLR0913  a rule's parts
    id_: str,
    severity: Severity,
    title: str,
    *,
    remedy: str,
    source: str,
    needs_code: bool = False,
) -> Callable[[Find], Find]:
    """Register the function that finds breaches of a rule."""

    def register(find: Find) -> Find:
        RULES[id_] = Rule(id_, severity, title, remedy, source, find, needs_code)
        return find

    return register
