"""The contract of the audit: what differs between a ledger and history, and what mending leaves."""

from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from sagaworks import Retry, SagaworksError, Service
from sagaworks.audit.books import Books
from sagaworks.audit.difference import Difference
from sagaworks.audit.mending import By, decide, mend
from sagaworks.audit.strangers import Strangers
from sagaworks.ledger.rows import State
from sagaworks.ledger.tables import audit
from tests.stores import async_shop
from tests.stores.settle import Settled
from tests.stores.shop import (
    StockHeld,
    hold_stock,
    release_stock,
    shop,
)
from tests.stores.steps import LAMP, at_once
from tests.stores.world import ORDER, TENANT, World

BY = By("ada", "the reconciler was down")


def books_of(settled: Settled, service: Service = shop) -> Books:
    return Books(service, settled.world.store, settled.history, TENANT, patience=-1)


def found(books: Books) -> list[tuple[str, str, bool]]:
    """Step, what, and whether it can be mended."""
    return [(one.step, one.what, one.can_be_mended) for one in books.differences()]


def the_one(books: Books) -> Difference:
    (one,) = books.differences()
    return one


def audited(world: World) -> list[dict[str, Any]]:
    with world.store.reading() as connection:
        return [dict(row) for row in connection.execute(select(audit)).mappings()]


class AuditContract:
    @pytest.fixture
    def settled(self, world: World) -> Settled:
        return Settled(world)

    def test_where_ledger_and_engine_agree_there_is_no_difference(self, settled: Settled) -> None:
        settled.hold()

        assert found(books_of(settled)) == []

    def test_an_effect_whose_job_was_taken_away_is_undone_and_leaves_an_audit_row(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold("CANCELED", counted=False)
        books = books_of(settled)
        assert found(books) == [("hold_stock", "taken_away", True)]

        assert mend(books, the_one(books), BY) == "undone"

        assert world.available == 3
        (row,) = audited(world)
        assert (row["who"], row["why"]) == ("ada", "the reconciler was down")
        assert '"state": "open"' in row["was"]
        assert '"state": "undone"' in row["became"]
        assert (row["execution"], row["at"] is None) == (world.rows[0].id, False)

    def test_looking_changes_nothing(self, world: World, settled: Settled) -> None:
        settled.hold("CANCELED", counted=False)

        found(books_of(settled))

        assert (world.available, world.states) == (2, [(1, State.OPEN)])
        assert (settled.listed, audited(world)) == ([], [])

    def test_after_mending_nothing_is_left_to_mend(self, world: World, settled: Settled) -> None:
        settled.hold("CANCELED", counted=False)
        books = books_of(settled)
        mend(books, the_one(books), BY)

        assert found(books) == []

    def test_who_mends_after_the_reconciler_undoes_nothing_twice(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold("CANCELED", counted=False)
        books = books_of(settled)
        seen = the_one(books)
        settled.sweep()

        assert mend(books, seen, BY) == "undone"

        assert world.available == 3
        (row,) = audited(world)
        assert row["was"] == row["became"]

    def test_four_who_mend_and_a_sweep_at_the_same_moment_undo_once(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold("CANCELED", counted=False)
        seen = the_one(books_of(settled))

        def mended() -> str:
            return mend(books_of(settled), seen, BY)

        def swept() -> str:
            settled.reconciler.settle(ORDER)
            return "swept"

        became = at_once(mended, mended, swept, mended, mended)

        assert "undone" in became
        assert {*became} <= {"undone", "swept", "its undo is recorded, and somebody is at it"}
        assert world.available == 3
        assert len(audited(world)) == 4

    def test_an_effect_that_the_engine_counts_is_counted(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold(counted=False)
        books = books_of(settled)
        assert found(books) == [("hold_stock", "uncounted", True)]

        assert mend(books, the_one(books), BY) == "counted"

        assert (world.in_doubt(0), world.available) == (0, 2)

    def test_a_missing_record_is_told_and_not_mended(self, world: World, settled: Settled) -> None:
        world.stock(count=3)
        settled.engine.saga(ORDER, 1)
        world.deliver(hold_stock, LAMP, job=11)

        assert found(books_of(settled)) == [("hold_stock", "in_doubt", False)]

    def test_a_saga_that_the_engine_forgot_is_told_with_its_effects_and_without(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.restored()
        settled.engine.saga("order-7", 7)
        world.hear_of("order-8", 8)

        books = books_of(settled)

        assert found(books) == [("hold_stock", "forgotten", False)]
        assert books.forgotten == ["order-8"]

    def test_a_stranded_undo_is_finished_once_its_compensation_works(self, world: World) -> None:
        service = Service("shop")
        is_moved = [True]

        @service.step
        def hold(session: Session) -> StockHeld:
            return hold_stock.function(session, "lamp", 1)

        @hold.compensation
        def release(session: Session, held: StockHeld) -> None:
            release_stock.function(session, held)
            if is_moved[0]:
                raise Retry("the shelf is being moved")

        settled = Settled(world, service)
        world.stock(count=3)
        settled.engine.saga(ORDER, 1)
        world.deliver(hold, job=1)
        settled.engine.job(hold, "CANCELED", job=1)
        settled.sweep()
        books = books_of(settled, service)
        assert found(books) == [("hold", "stranded", True)]
        assert mend(books, the_one(books), BY) == "stranded: the shelf is being moved"

        is_moved.clear()
        is_moved.append(False)
        assert mend(books, the_one(books), BY) == "undone"

        assert (world.available, found(books)) == (3, [])
        assert len(audited(world)) == 2

    def test_an_effect_without_compensation_is_stranded_and_left(self, world: World) -> None:
        service = Service("shop")

        @service.step
        def note(session: Session) -> None: ...

        settled = Settled(world, service)
        settled.engine.saga(ORDER, 1)
        world.deliver(note, job=1)
        settled.engine.job(note, "CANCELED", job=1)

        assert found(books_of(settled, service)) == [("note", "stranded", False)]

    def test_what_a_person_has_undone_is_undone_without_history(
        self, world: World, settled: Settled
    ) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=11)
        books = books_of(settled)
        assert found(books) == [("hold_stock", "forgotten", False)]

        assert decide(books, the_one(books), BY, undo=True) == "its undo is recorded"
        assert found(books) == [("hold_stock", "withdrawn", True)]
        assert mend(books, the_one(books), BY) == "undone"

        assert (world.available, found(books)) == (3, [])
        assert [(one["who"], one["became"] is None) for one in audited(world)] == [
            ("ada", False),
            ("ada", False),
        ]

    def test_what_a_person_lets_stand_is_no_difference_any_more(
        self, world: World, settled: Settled
    ) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=11)
        books = books_of(settled)
        engine_forgot = the_one(books)
        settled.engine.saga(ORDER, 1)

        assert decide(books, engine_forgot, BY, undo=False) == "it stands"

        assert (world.available, found(books)) == (2, [])
        (row,) = audited(world)
        assert '"listed": "kept"' in row["became"]

    def test_what_has_no_compensation_is_not_said_to_be_undone(self, world: World) -> None:
        service = Service("shop")

        @service.step
        def note(session: Session) -> None: ...

        settled = Settled(world, service)
        world.deliver(note, job=1)
        books = books_of(settled, service)

        with pytest.raises(SagaworksError, match="note has no compensation: undo it by hand"):
            decide(books, the_one(books), BY, undo=True)

        assert audited(world) == []

    def test_an_async_compensation_is_called_too(self, world: World) -> None:
        settled = Settled(world, async_shop.shop)
        world.stock(count=3)
        settled.engine.saga(ORDER, 1)
        world.deliver(hold_stock, LAMP, job=11)
        settled.engine.job(hold_stock, "CANCELED", job=11)
        books = books_of(settled, async_shop.shop)

        assert mend(books, the_one(books), BY) == "undone"

        assert world.available == 3

    def test_a_saga_that_only_the_engine_knows_is_told(
        self, world: World, settled: Settled
    ) -> None:
        settled.hold()
        settled.engine.saga("order-lost", 9)
        settled.engine.job(hold_stock, "COMPLETED", job=91, instance=9)
        settled.engine.saga("order-new", 10)

        strangers = Strangers(settled.history, [books_of(settled)], most=100)

        told = [(one.saga_key, one.what) for one in strangers.differences()]
        assert told == [("order-lost", "no_ledger")]

    def test_two_instances_with_one_key_are_told(self, settled: Settled) -> None:
        settled.hold()
        settled.engine.saga(ORDER, 2)

        strangers = Strangers(settled.history, [books_of(settled)], most=100)

        (one,) = strangers.differences()
        assert (one.saga_key, one.what) == (ORDER, "twice")
        assert "process instances 1, 2 are running" in one.as_line()

    def test_a_second_instance_of_a_saga_that_has_ended_is_told(self, settled: Settled) -> None:
        """A start whose reply was lost left it, halted before it changed anything."""
        settled.hold()
        settled.engine.ended(1)
        settled.engine.saga(ORDER, 2)

        strangers = Strangers(settled.history, [books_of(settled)], most=100)

        (one,) = strangers.differences()
        assert (one.saga_key, one.what) == (ORDER, "twice")
        assert "process instance 2 is running, and the saga is 1's" in one.as_line()

    @pytest.mark.parametrize("owner", [1, 2], ids=["forgotten", "its own"])
    def test_an_instance_of_a_forgotten_saga_or_its_own_is_no_second_one(
        self, world: World, settled: Settled, owner: int
    ) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=11, instance=owner)
        settled.engine.saga(ORDER, 2)

        strangers = Strangers(settled.history, [books_of(settled)], most=100)

        assert [*strangers.differences()] == []

    @pytest.mark.parametrize("change", [{"who": "eve"}, {"became": "{}"}, {"was": "{}"}])
    def test_an_audit_row_stands(
        self, world: World, settled: Settled, change: dict[str, str]
    ) -> None:
        settled.hold("CANCELED", counted=False)
        books = books_of(settled)
        mend(books, the_one(books), BY)

        with (
            pytest.raises(DBAPIError, match="what a person had done stands"),
            world.store.writing() as connection,
        ):
            connection.execute(update(audit).values(**change))
