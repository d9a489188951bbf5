"""The configurations that are explored."""

from typing import Final

from tests.model.scenario import AFTER, PIVOT, REMOTE, A, B, Diagram, Fault, Scenario, Task

F = Fault

ORDER: Final = Diagram("A, B, pivot C", (A, B, PIVOT), undo=("B", "A"))
UNCAUGHT: Final = Diagram("A, B; refusals aren't caught", (A, B), undo=("A",), catches=False)
SHORT: Final = Diagram("A, pivot C", (A, PIVOT), undo=("A",))
BEYOND: Final = Diagram("A, pivot C, then D", (A, PIVOT, AFTER), undo=("A",))
LOOP: Final = Diagram("A twice, pivot C", (Task("A", "x"), Task("A", "y"), PIVOT), undo=("A",))
ALONE: Final = Diagram("A alone", (A,), undo=("A",))
CALLING: Final = Diagram("remote R, pivot C", (REMOTE, PIVOT), undo=("R",))
CALLING_LOOP: Final = Diagram(
    "remote R twice, pivot C",
    (REMOTE._replace(each="x"), REMOTE._replace(each="y"), PIVOT),
    undo=("R",),
)

TWO: Final = ("order-42", "order-43")

WORKERS: Final = frozenset({F.CRASH, F.ZOMBIE, F.HALT, F.RESOLVE, F.FILL})
WIRE: Final = frozenset({F.LOST_CALL, F.LOST_REPLY, F.DELAYED, F.RESENT})
PEOPLE: Final = frozenset(
    {F.TIMER, F.CANCEL, F.MOVE, F.MOVE_BACK, F.MOVE_OUT, F.OTHER_INPUTS, F.TWICE}
)

SCENARIOS: Final = (
    Scenario("order", ORDER, WORKERS | WIRE | PEOPLE),
    Scenario("short", SHORT, WORKERS | WIRE | PEOPLE),
    Scenario("uncaught", UNCAUGHT, WORKERS | WIRE | {F.TIMER, F.CANCEL}),
    Scenario("beyond", BEYOND, WORKERS | WIRE | PEOPLE),
    Scenario("by hand", SHORT, frozenset({F.BY_HAND, F.ZOMBIE, F.CRASH})),
    Scenario("loop", LOOP, WORKERS | WIRE | {F.TIMER, F.CANCEL, F.MOVE}),
    Scenario("remote", CALLING, WORKERS | WIRE | PEOPLE),
    Scenario("remote loop", CALLING_LOOP, WORKERS | WIRE | {F.TIMER, F.CANCEL}),
    Scenario("without history", SHORT, (WORKERS | WIRE | PEOPLE) - {F.RESENT}, history=False),
    Scenario("restored", SHORT, WORKERS | {F.CANCEL, F.RESTORE, F.WIPE, F.MOVE}),
    Scenario("strangers", ALONE, frozenset({F.WIPE, F.CANCEL}), workers=1, sagas=TWO),
)

SOLVED: Final = (
    Scenario(
        "an undo in a worker's hand while its token is moved out",
        SHORT,
        frozenset({F.TIMER, F.MOVE_OUT}),
        out_of_hand=True,
    ),
    Scenario(
        "a loop that was half undone when the engine lost everything",
        LOOP,
        frozenset({F.WIPE}),
        budget=1,
        workers=1,
    ),
    Scenario(
        "a refusal that was undone, before which the engine is restored",
        SHORT,
        frozenset({F.RESTORE, F.FILL}),
        workers=1,
    ),
)
"""What took a way of its own to solve: docs/decisions/0048."""

LIMITS: Final = (
    SOLVED[1]._replace(history=False),
    SOLVED[2]._replace(history=False),
    Scenario(
        "workers that run on while the engine is restored",
        ALONE,
        frozenset({F.WIPE}),
        budget=1,
        workers=1,
        sagas=TWO,
        workers_stay=True,
    ),
)
"""What the protocol can't do; a person is told how to keep clear of it."""


def scenario_named(name: str) -> Scenario:
    return next(scenario for scenario in SCENARIOS if scenario.name == name)
