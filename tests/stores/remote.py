"""The contract of remote steps: an intent, the same call until it's answered, and its undo."""

from collections.abc import Callable
from functools import partial

import pytest
from sqlmodel import Session

from sagaworks import Halt, Retry, Saga, Service
from sagaworks.ledger.answers import Outcome, Say
from sagaworks.ledger.rows import State
from tests.stores.shop import (
    NoCarrier,
    ShipmentBooked,
    book_line,
    book_shipment,
    cancel_line,
    cancel_shipment,
    carrier,
)
from tests.stores.steps import GONE, HELD, at_once
from tests.stores.world import World

HOME = {"address": "Home 1"}
BOOK_KEY = "<default>/order-42/shop.book_shipment//1"
BOOKED = b'{"shipment_booked":{"number":"shipment-1"}}'


class UnreachableError(Exception):
    """The partner's line is down."""


class CrashError(BaseException):
    """The process dies: nothing catches this."""


def once(then: Callable[[], object]) -> Callable[[str], None]:
    """Return what runs `then` at the first call only."""
    calls: list[str] = []

    def run(key: str) -> None:
        calls.append(key)
        if len(calls) == 1:
            then()

    return run


def raise_(error: BaseException) -> Callable[[], None]:
    def run() -> None:
        raise error

    return run


class RemoteContract:
    def test_a_remote_step_is_answered_and_recorded(self, world: World) -> None:
        answer = world.deliver(book_shipment, HOME)

        assert (answer.outcome, answer.say) == (Outcome.EXECUTED, Say.COMPLETE)
        assert answer.variables == BOOKED
        assert carrier.calls == [BOOK_KEY]
        assert world.states == [(1, State.OPEN)]
        assert world.parcels == 1

    def test_the_intent_is_committed_before_the_call(self, world: World) -> None:
        seen = []
        carrier.before = lambda _key: seen.extend(world.states)

        world.deliver(book_shipment, HOME)

        assert seen == [(1, State.INTENT)]

    def test_no_lock_is_held_while_the_partner_is_called(self, world: World) -> None:
        carrier.before = lambda _key: world.stock(count=7)

        world.deliver(book_shipment, HOME)

        assert world.available == 7

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_crash_around_the_call_repeats_it_with_the_same_key(
        self, world: World, when: str
    ) -> None:
        setattr(carrier, when, once(raise_(CrashError())))
        with pytest.raises(CrashError):
            world.deliver(book_shipment, HOME)
        assert world.states == [(1, State.INTENT)]

        answer = world.deliver(book_shipment, {"address": "changed since"})

        assert (answer.outcome, answer.variables) == (Outcome.EXECUTED, BOOKED)
        assert carrier.calls == [BOOK_KEY, BOOK_KEY]
        assert len(carrier.standing) == 1
        assert world.states == [(1, State.OPEN)]
        assert world.parcels == 1

    def test_a_retry_of_the_step_keeps_the_intent(self, world: World) -> None:
        carrier.before = once(raise_(Retry("not now")))
        with pytest.raises(Retry):
            world.deliver(book_shipment, HOME)

        assert world.states == [(1, State.INTENT)]
        assert world.deliver(book_shipment, HOME).say is Say.COMPLETE

    def test_an_answered_call_is_not_made_again(self, world: World) -> None:
        world.deliver(book_shipment, HOME)

        again = world.deliver(book_shipment, HOME)

        assert (again.outcome, again.variables) == (Outcome.REPLAYED, BOOKED)
        assert len(carrier.calls) == 1

    def test_simultaneous_deliveries_make_the_same_call(self, world: World) -> None:
        other = world.second_worker()

        for n in range(1, 11):
            saga = {"saga": f"order-{n}", "instance": n}
            answers = at_once(
                *(
                    lambda at=worker, saga=saga: at.deliver(book_shipment, HOME, **saga)
                    for worker in (world, other, world, other)
                )
            )
            assert len({answer.variables for answer in answers}) == 1

        assert len({*carrier.calls}) == 10
        assert len(carrier.standing) == 10
        assert world.parcels == 10

    def test_another_job_adopts_an_unanswered_intent_and_its_call(self, world: World) -> None:
        carrier.after = once(raise_(CrashError()))
        with pytest.raises(CrashError):
            world.deliver(book_shipment, HOME, job=1)
        world.engine.jobs |= {1: GONE, 2: HELD}

        answer = world.deliver(book_shipment, HOME, job=2)

        assert (answer.outcome, answer.variables) == (Outcome.ADOPTED, BOOKED)
        assert carrier.calls == [BOOK_KEY, BOOK_KEY]

    def test_a_variable_of_the_wrong_type_halts_before_an_intent_binds_it(
        self, world: World
    ) -> None:
        with pytest.raises(Halt, match=r"needs variable `address`"):
            world.deliver(book_shipment, {"address": 1})
        assert world.rows == []

        answer = world.deliver(book_shipment, HOME)

        assert answer.outcome is Outcome.EXECUTED

    def test_a_second_instance_with_the_same_key_calls_nobody(self, world: World) -> None:
        world.deliver(book_shipment, HOME, job=1, instance=7)

        answer = world.deliver(book_shipment, HOME, job=2, instance=8)

        assert (answer.outcome, answer.say) == (Outcome.DUPLICATE, Say.HALT)
        assert len(carrier.calls) == 1

    # The partner's no, and the service's own record.

    def test_the_partners_refusal_is_recorded(self, world: World) -> None:
        carrier.before = once(raise_(NoCarrier("too far")))

        answer = world.deliver(book_shipment, HOME)
        again = world.deliver(book_shipment, HOME)

        assert (answer.outcome, answer.say, answer.code) == (
            Outcome.REFUSED,
            Say.THROW,
            "NO_CARRIER",
        )
        assert (again.outcome, again.code, again.message) == (
            Outcome.REPLAYED,
            "NO_CARRIER",
            "too far",
        )
        assert len(carrier.calls) == 1
        assert world.states == [(1, State.REFUSED)]
        assert world.parcels == 0

    def test_a_round_after_a_refusal_has_a_key_of_its_own(self, world: World) -> None:
        carrier.before = once(raise_(NoCarrier("too far")))
        world.deliver(book_shipment, HOME, job=1)
        world.engine.jobs[2] = HELD

        world.deliver(book_shipment, HOME, job=2)

        assert carrier.calls == [BOOK_KEY, BOOK_KEY.removesuffix("1") + "2"]

    def test_the_record_is_part_of_the_answers_transaction(self, world: World) -> None:
        step = Service("shop").remote_step(book_shipment.function)
        fails = [True]

        @step.record
        def keep(session: Session, booked: ShipmentBooked) -> None:
            book_shipment.recorder(session, booked)
            session.flush()
            if fails.pop():
                fails.append(False)
                raise UnreachableError

        with pytest.raises(UnreachableError):
            world.deliver(step, HOME)
        assert world.states == [(1, State.INTENT)]
        assert world.parcels == 0

        world.deliver(step, HOME)

        assert world.states == [(1, State.OPEN)]
        assert world.parcels == 1
        assert len(carrier.standing) == 1

    # Undoing.

    def test_the_undo_calls_with_a_key_of_its_own(self, world: World) -> None:
        world.deliver(book_shipment, HOME, job=1)

        answer = world.deliver(cancel_shipment, job=2)

        assert (answer.outcome, answer.say) == (Outcome.COMPENSATED, Say.COMPLETE)
        assert carrier.calls == [BOOK_KEY, f"{BOOK_KEY}/undo"]
        assert carrier.standing == set()
        assert world.parcels == 0
        assert [(row.state, row.undone_by) for row in world.rows] == [(State.UNDONE, 2)]

    def test_the_same_compensation_job_again_calls_nobody(self, world: World) -> None:
        world.deliver(book_shipment, HOME, job=1)
        world.deliver(cancel_shipment, job=2)

        again = world.deliver(cancel_shipment, job=2)

        assert again.outcome is Outcome.REPLAYED
        assert len(carrier.calls) == 2

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_crash_around_the_undo_repeats_it_with_the_same_key(
        self, world: World, when: str
    ) -> None:
        world.deliver(book_shipment, HOME, job=1)
        setattr(carrier, when, once(raise_(CrashError())))
        with pytest.raises(CrashError):
            world.deliver(cancel_shipment, job=2)

        answer = world.deliver(cancel_shipment, job=2)

        assert answer.outcome is Outcome.COMPENSATED
        assert carrier.calls == [BOOK_KEY, f"{BOOK_KEY}/undo", f"{BOOK_KEY}/undo"]
        assert world.states == [(1, State.UNDONE)]
        assert world.parcels == 0

    def test_an_unanswered_intent_is_finished_before_it_is_undone(self, world: World) -> None:
        carrier.before = once(raise_(CrashError()))
        with pytest.raises(CrashError):
            world.deliver(book_shipment, HOME, job=1)

        answer = world.deliver(cancel_shipment, job=2)

        assert answer.outcome is Outcome.COMPENSATED
        assert carrier.calls == [BOOK_KEY, BOOK_KEY, f"{BOOK_KEY}/undo"]
        assert carrier.standing == set()
        assert world.states == [(1, State.UNDONE)]

    def test_an_intent_that_the_partner_then_refuses_needs_no_undo(self, world: World) -> None:
        carrier.before = once(raise_(CrashError()))
        with pytest.raises(CrashError):
            world.deliver(book_shipment, HOME, job=1)
        carrier.before = once(raise_(NoCarrier("too far")))

        answer = world.deliver(cancel_shipment, job=2)

        assert (answer.outcome, answer.say) == (Outcome.NULL_COMPENSATION, Say.COMPLETE)
        assert carrier.calls == [BOOK_KEY, BOOK_KEY]
        assert world.states == [(1, State.REFUSED), (2, State.FENCE)]
        assert world.deliver(cancel_shipment, job=2).outcome is Outcome.REPLAYED

    def test_a_step_undone_during_its_call_says_nothing(self, world: World) -> None:
        carrier.after = once(partial(world.deliver, cancel_shipment, job=2))

        answer = world.deliver(book_shipment, HOME, job=1)

        assert (answer.outcome, answer.say) == (Outcome.LATE, Say.NOTHING)
        assert carrier.standing == set()
        assert world.states == [(1, State.UNDONE)]
        assert world.parcels == 0

    def test_a_remote_step_that_was_renamed_keeps_its_partners_keys(self, world: World) -> None:
        carrier.after = once(raise_(CrashError()))
        with pytest.raises(CrashError):
            world.deliver(book_shipment, HOME, job=1)
        service = Service("shop")

        @service.remote_step(was="book_shipment")
        def book_parcel(saga: Saga, address: str) -> ShipmentBooked:
            return ShipmentBooked(number=carrier.book(saga.idempotency_key))

        @book_parcel.compensation
        def cancel_parcel(saga: Saga, booked: ShipmentBooked) -> None:
            carrier.cancel(saga.idempotency_key, booked.number)

        world.deliver(book_parcel, HOME, job=1)
        world.deliver(cancel_parcel, job=2)

        assert carrier.calls == [BOOK_KEY, BOOK_KEY, f"{BOOK_KEY}/undo"]

    def test_an_intent_from_before_the_step_had_each_keeps_its_key(self, world: World) -> None:
        carrier.after = once(raise_(CrashError()))
        with pytest.raises(CrashError):
            world.deliver(book_shipment, HOME, job=1)
        later = Service("shop").remote_step(each="address")(book_shipment.function)

        world.deliver(later, HOME, job=1)

        assert carrier.calls == [BOOK_KEY, BOOK_KEY]

    def test_a_remote_compensation_may_not_refuse(self, world: World) -> None:
        world.deliver(book_shipment, HOME, job=1)
        carrier.before = once(raise_(NoCarrier("no")))

        with pytest.raises(Halt, match="may not refuse: NO_CARRIER"):
            world.deliver(cancel_shipment, job=2)

        assert world.rows[0].is_open

    # Steps that run once for each value.

    def test_handlers_of_a_loop_that_come_at_once_undo_every_booking(self, world: World) -> None:
        for n, line in enumerate(("a", "b", "c"), 1):
            world.deliver(book_line, {"line": line}, job=n)
        outcomes = []

        def compensate(job: int) -> None:
            outcomes.append(world.deliver(cancel_line, {"line": "c"}, job=job).outcome)

        carrier.before = once(lambda: (compensate(8), compensate(9)))

        compensate(7)

        assert outcomes == [Outcome.COMPENSATED] * 3
        assert carrier.standing == set()
        assert [row.undone_by for row in world.rows] == [9, 8, 7]

    def test_an_interrupted_undo_of_all_runs_goes_on_where_it_was(self, world: World) -> None:
        for n, line in enumerate(("a", "b", "c"), 1):
            world.deliver(book_line, {"line": line}, job=n)
        calls: list[str] = []

        def fail_at_the_second(key: str) -> None:
            calls.append(key)
            if len(calls) == 2:
                raise Retry("not now")

        carrier.before = fail_at_the_second
        with pytest.raises(Retry):
            world.deliver(cancel_line, job=9, headers={"undo": "all"})

        answer = world.deliver(cancel_line, job=9, headers={"undo": "all"})

        assert answer.outcome is Outcome.COMPENSATED
        assert carrier.standing == set()
        assert [row.undone_by for row in world.rows] == [9, 9, 9]

    def test_what_a_vanished_compensation_job_began_is_finished_by_another(
        self, world: World
    ) -> None:
        world.deliver(book_shipment, HOME, job=1)
        carrier.after = once(raise_(CrashError()))
        with pytest.raises(CrashError):
            world.deliver(cancel_shipment, job=2)

        answer = world.deliver(cancel_shipment, job=3)

        assert answer.say is Say.COMPLETE
        assert len({*carrier.calls[1:]}) == 1
        assert world.rows[0].state is State.UNDONE
        assert world.deliver(cancel_shipment, job=2).outcome is Outcome.REPLAYED
        assert world.deliver(cancel_shipment, job=3).outcome is Outcome.REPLAYED
