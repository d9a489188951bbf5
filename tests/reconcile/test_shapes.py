"""Each shape in which the engine compensates: every effect is undone once, and by its own fact."""

import time
from collections.abc import Callable

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from sagaworks import Service
from sagaworks.testing import Zeebe
from tests.reconcile import diagrams as d
from tests.reconcile.conftest import Done, Marks, Reconciled

pytestmark = pytest.mark.engine

LINES = ["x", "y", "z"]

PACKED = ["pack x", "pack y", "pack z"]

# Mappings see those before them.
COUNTED = (
    '<zeebe:output source="=string(n+1)" target="line"/><zeebe:output source="=n+1" target="n"/>'
)

LOOP = d.diagram(
    d.start(),
    d.step("pack", outputs=COUNTED),
    d.loop("again", "give_up"),
    d.throw("give_up"),
    d.end(),
    d.chain("begin", "pack", "again", "give_up", "end"),
    d.flow("again", "pack", "n &lt; 4"),
)

BODY = d.diagram(
    d.start(),
    d.step("pack", items="lines"),
    d.throw("give_up"),
    d.end(),
    d.chain("begin", "pack", "give_up", "end"),
)

BODY_OF_SCOPES = d.diagram(
    d.start(),
    d.inside(
        "packing",
        d.start("begin_packing"),
        d.step("pack"),
        d.end("packed"),
        d.chain("begin_packing", "pack", "packed"),
        items="lines",
    ),
    d.throw("give_up"),
    d.end(),
    d.chain("begin", "packing", "give_up", "end"),
)

HANDLERS = d.diagram(
    d.start(),
    d.task("pack", items="lines"),
    d.undone("pack", items="lines"),
    d.throw("give_up"),
    d.end(),
    d.chain("begin", "pack", "give_up", "end"),
)

SCOPE = d.diagram(
    d.start(),
    d.inside(
        "inner",
        d.start("begin_inner"),
        d.step("a"),
        d.step("b"),
        d.end("end_inner"),
        d.chain("begin_inner", "a", "b", "end_inner"),
    ),
    d.throw("give_up"),
    d.end(),
    d.chain("begin", "inner", "give_up", "end"),
)

CHAINED = d.diagram(
    d.start(),
    d.step("a"),
    d.step("b"),
    d.throw("undo_the_b", "b"),
    d.throw("undo_the_a", "a"),
    d.throw("undo_what_is_left"),
    d.end(),
    d.chain("begin", "a", "b", "undo_the_b", "undo_the_a", "undo_what_is_left", "end"),
)

BROADCAST = d.diagram(
    d.start(),
    d.step("a"),
    d.step("b"),
    d.throw("give_up"),
    d.throw("give_up_again"),
    d.end(),
    d.chain("begin", "a", "b", "give_up", "give_up_again", "end"),
)


def until(holds: Callable[[], bool], within: float = 20.0) -> bool:
    """Wait until the reconciler has done it; nobody tells."""
    end = time.monotonic() + within
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


@pytest.mark.parametrize(
    "shape,done",
    [
        (LOOP, ["pack 1", "pack 2", "pack 3"]),
        (BODY, PACKED),
        (BODY_OF_SCOPES, PACKED),
        (HANDLERS, PACKED),
        (SCOPE, ["a", "b"]),
        (BROADCAST, ["a", "b"]),
    ],
    ids=["loop", "body", "body of scopes", "handlers", "scope", "broadcast"],
)
def test_each_run_is_undone_once_by_its_own_fact(
    zeebe: Zeebe, reconciled: Reconciled, marks: Marks, shape: str, done: list[str]
) -> None:
    zeebe.deploy(shape)

    saga = zeebe.run("shape", n=1, line="1", lines=LINES)

    saga.assert_undone()
    assert sorted(marks.done) == done
    assert sorted(marks.undone) == done


def test_chained_throws_undo_in_their_order_and_nothing_twice(
    zeebe: Zeebe, reconciled: Reconciled, marks: Marks
) -> None:
    zeebe.deploy(CHAINED)

    zeebe.run("shape").assert_undone()

    assert (marks.done, marks.undone) == (["a", "b"], ["b", "a"])


def test_a_loop_without_each_is_loud_instead_of_done_once(
    zeebe: Zeebe, reconciled: Reconciled, marks: Marks
) -> None:
    zeebe.deploy(
        d.diagram(
            d.start(),
            d.step("a", outputs='<zeebe:output source="=n+1" target="n"/>'),
            d.loop("again", "end"),
            d.end(),
            d.chain("begin", "a", "again", "end"),
            d.flow("again", "a", "n &lt; 3"),
        )
    )

    saga = zeebe.run("shape", n=1)

    saga.assert_incident("the diagram itself came back to it")
    assert marks.done == ["a"]


# What the engine compensates not at all.


def left_by_an_error(leave: str) -> str:
    return d.diagram(
        d.start(),
        d.inside(
            "inner",
            d.start("begin_inner"),
            d.step("a"),
            d.task("refuse"),
            d.end("end_inner"),
            d.chain("begin_inner", "a", "refuse", "end_inner"),
            leave=leave,
        ),
        d.caught("refusal", "inner"),
        d.end(),
        d.chain("begin", "inner", "end"),
        d.flow("refusal", "end"),
    )


def test_a_scope_that_an_error_left_is_undone_where_it_says_so(
    zeebe: Zeebe, reconciled: Reconciled, marks: Marks
) -> None:
    zeebe.deploy(left_by_an_error("undo"))

    zeebe.run("shape").assert_completed()

    assert until(lambda: marks.standing == [])
    assert marks.undone == ["a"]


def test_a_scope_that_an_error_left_is_kept_where_it_says_so(
    zeebe: Zeebe, reconciled: Reconciled, marks: Marks
) -> None:
    zeebe.deploy(left_by_an_error("keep"))
    kept = zeebe.run("shape").wait()
    zeebe.deploy(left_by_an_error("undo"))

    zeebe.run("shape").wait()

    # The second is swept after the first.
    assert until(lambda: marks.undone == ["a"])
    assert reconciled.states(kept)[:1] == ["executed"]
    assert reconciled.listed() == []


def test_a_scope_that_an_error_left_without_a_word_is_listed(
    zeebe: Zeebe, reconciled: Reconciled, marks: Marks
) -> None:
    zeebe.deploy(left_by_an_error(""))

    zeebe.run("shape").wait()

    assert until(lambda: [(one.step, one.kind) for one in reconciled.listed()] == [("a", "stands")])
    assert marks.undone == []


def test_runs_of_a_body_that_a_siblings_refusal_ended_are_withdrawn(
    zeebe: Zeebe, reconciled: Reconciled, marks: Marks
) -> None:
    zeebe.deploy(
        d.diagram(
            d.start(),
            d.step("pack", items="lines", leave="undo"),
            d.caught("refusal", "pack"),
            d.end(),
            d.chain("begin", "pack", "end"),
            d.flow("refusal", "end"),
        )
    )

    zeebe.run("shape", lines=LINES, refused="z").wait()

    assert until(lambda: bool(marks.done) and marks.standing == [])


def test_an_operators_cancel_ends_with_everything_undone_newest_first(
    zeebe: Zeebe, shop: Service, reconciled: Reconciled, marks: Marks
) -> None:
    zeebe.deploy(
        d.diagram(
            d.start(),
            d.step("a"),
            d.step("b"),
            d.task("waits"),
            d.end(),
            d.chain("begin", "a", "b", "waits", "end"),
        )
    )
    saga = zeebe.run("shape")
    saga.wait_for("waits")

    zeebe.cancel(saga)

    assert until(lambda: marks.standing == [])
    assert (marks.done, marks.undone) == (["a", "b"], ["b", "a"])
    assert reconciled.states(saga).count("undone") == 2
    assert reconciled.listed() == []


def test_an_awaited_undo_is_carried_out_by_the_reconciler_too(zeebe: Zeebe, marks: Marks) -> None:
    service = Service("shop")

    @service.step
    async def a(session: AsyncSession) -> Done:
        marks.done.append("a")
        return Done(run="a")

    @a.compensation
    async def undo_a(session: AsyncSession, done: Done) -> None:
        await session.exec(select(1))
        marks.undone.append(done.run)

    zeebe.work(service)
    zeebe.deploy(
        d.diagram(
            d.start(), d.step("a"), d.task("waits"), d.end(), d.chain("begin", "a", "waits", "end")
        )
    )
    saga = zeebe.run("shape")
    saga.wait_for("waits")

    zeebe.cancel(saga)

    assert until(lambda: marks.undone == ["a"])
    zeebe.worker(service).stop()
    assert marks.undone == ["a"]
