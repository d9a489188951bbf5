"""`@whatever_breaks`: one test, run under nothing and then under every fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import pytest

if TYPE_CHECKING:
    from sagaworks.testing.faults.faults import Faults
    from sagaworks.testing.faults.kinds import Kind

Test = TypeVar("Test", bound=Callable[..., Any])

MARK: Final = "whatever_breaks"

PARAMETER: Final = "zeebe_breaks"
"""The fixture that says what breaks in a test."""


@overload
def whatever_breaks(test: Test) -> Test: ...


@overload
def whatever_breaks(
    test: None = None, *, only: str | None = None, seed: int | None = None
) -> Callable[[Test], Test]: ...


def whatever_breaks(
    test: Test | None = None, *, only: str | None = None, seed: int | None = None
) -> Test | Callable[[Test], Test]:
    """Run a test once with nothing broken, and once for each thing that can break.

    What it asserts must hold each time: the engine promises at least one delivery of each job, and
    neither order nor exactness. The test needs the fixture `zeebe`. A fault that never happened
    fails the test; one that can't happen to these workers is skipped with the reason.

    Args:
        test: the test, where the decorator stands without arguments.
        only: run those kinds only whose name has this in it, ``dies`` for example.
        seed: of the order in which jobs that come together are done; a fresh one each time by
            default, which a failed test names.
    """
    mark = pytest.mark.whatever_breaks(only=only, seed=seed)
    return mark if test is None else mark(test)


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a marked test its kinds, each named in the test's id."""
    mark = metafunc.definition.get_closest_marker(MARK)
    if mark is None:
        return
    if PARAMETER not in metafunc.fixturenames:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: @{MARK} needs the fixture `zeebe`")
    from sagaworks.testing.faults.kinds import kinds  # noqa: PLC0415

    only = mark.kwargs.get("only") or ""
    chosen = [kind for kind in kinds() if only in kind.name]
    if not chosen:
        names = ", ".join(kind.name for kind in kinds())
        raise pytest.UsageError(f"@{MARK}(only={only!r}): there are {names}")
    metafunc.parametrize(PARAMETER, chosen, ids=[kind.name for kind in chosen], indirect=True)


def demand(item: pytest.Item, faults: Faults, kind: Kind | None) -> None:
    """Fail a test whose faults never happened, unless they can't happen to its workers."""
    why_not = kind.why_not(faults) if kind else None
    if why_not and faults.missing():
        pytest.skip(f"{item.name}: not applicable: {why_not}")
    faults.demand()
