"""Declaring steps and what undoes them: what is known of each, and what is refused at once."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlmodel import Session

from sagaworks import ContractError, Refusal, Saga, Service
from sagaworks.saga import SagaKey
from tests.stores.shop import (
    LinePacked,
    Shelf,
    ShipmentBooked,
    StockHeld,
    book_shipment,
    cancel_shipment,
    count_stock,
    hold_stock,
    pack_line,
    release_stock,
)


class SagaHeld(StockHeld):
    """A fact whose variable would be the library's."""


@pytest.fixture
def service() -> Service:
    return Service("inventory")


@pytest.fixture
def a_saga() -> Callable[[], Saga]:
    return lambda: Saga(SagaKey(1), "order-42", 1, datetime.now(UTC), "the-key")


def hold(session: Session, sku: str, quantity: int) -> StockHeld:
    """Set units aside.

    More for those who read on.
    """
    return StockHeld(sku=sku, quantity=quantity)


def release(session: Session, held: StockHeld) -> None:
    """Put them back."""


def call(saga: Saga, address: str) -> ShipmentBooked:
    return ShipmentBooked(number=f"{address} {saga.idempotency_key}")


def call_off(saga: Saga, booked: ShipmentBooked) -> None: ...


# What is known.


def test_a_step_knows_its_names() -> None:
    assert hold_stock.name == hold_stock.__name__ == "hold_stock"
    assert hold_stock.job_type == "shop.hold_stock"
    assert hold_stock.service.steps["hold_stock"] is hold_stock
    assert repr(hold_stock) == "<Step shop.hold_stock>"
    assert hold_stock.__module__ == "tests.stores.shop"


def test_a_step_knows_what_it_asks_for_and_gives(service: Service) -> None:
    step = service.step(hold)

    assert list(step.variables) == ["sku", "quantity"]
    assert step.fact is StockHeld
    assert step.fact_variable == "stock_held"
    assert step.doc.startswith("Set units aside.")
    assert (step.kind, step.each, step.was, step.remote, step.undo) == (
        "compensatable",
        None,
        None,
        False,
        None,
    )


def test_a_step_and_its_undo_know_each_other() -> None:
    assert hold_stock.undo is release_stock
    assert release_stock.step is hold_stock
    assert release_stock.job_type == "shop.release_stock"
    assert not release_stock.remote
    assert cancel_shipment.remote
    assert repr(cancel_shipment) == "<RemoteCompensation shop.cancel_shipment>"


def test_options_are_kept(service: Service) -> None:
    step = service.step(kind="pivot", each="sku", was="hold_stock")(hold)

    assert (step.kind, step.each, step.was) == ("pivot", "sku", "hold_stock")
    assert step.names == ("hold", "hold_stock")


def test_a_step_without_a_fact_completes_nothing(service: Service) -> None:
    def note(session: Session) -> None: ...

    step = service.step(note)

    assert (step.fact, step.fact_variable) == (None, None)


# Still plain functions.


def test_a_step_is_called_as_the_function_it_is(service: Service) -> None:
    step = service.step(hold)
    with Session() as session:
        assert step(session, "lamp", quantity=2) == StockHeld(sku="lamp", quantity=2)


def test_a_compensation_is_called_as_the_function_it_is(service: Service) -> None:
    seen = []

    def put_back(session: Session, held: StockHeld) -> None:
        seen.append(held.quantity)

    undo = service.step(hold).compensation(put_back)
    with Session() as session:
        undo(session, StockHeld(sku="lamp", quantity=2))
        undo(session=session, held=StockHeld(sku="lamp", quantity=3))

    assert seen == [2, 3]


def test_a_remote_step_is_called_as_the_function_it_is(
    service: Service, a_saga: Callable[[], Saga]
) -> None:
    step = service.remote_step(call)

    assert step(a_saga(), address="Home 1").number == "Home 1 the-key"


def test_recorders_stay_the_functions_they_are(service: Service) -> None:
    step = service.remote_step(call)

    def keep(session: Session, booked: ShipmentBooked) -> None: ...

    assert step.record(keep) is keep
    assert step.recorder is keep


# What can't work is refused at once, in one line that names the task.


def refused(declare: Callable[[], object]) -> str:
    with pytest.raises(ContractError) as error:
        declare()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_step_without_a_session_is_refused(service: Service) -> None:
    assert refused(lambda: service.step(call)) == (
        "inventory.call: takes no `session: Session`; what changes nothing here is a remote_step"
    )


def test_a_remote_step_with_a_session_is_refused(service: Service) -> None:
    assert refused(lambda: service.remote_step(hold)) == (
        "inventory.hold: a remote_step has no session; keep its answer by `.record`"
    )


def test_an_unknown_kind_is_refused(service: Service) -> None:
    assert refused(lambda: service.step(kind="final")(hold)).startswith(  # type: ignore[arg-type]
        "inventory.hold: kind='final'; one of ('compensatable', "
    )


def test_each_must_be_a_parameter(service: Service) -> None:
    assert refused(lambda: service.step(each="line")(hold)) == (
        "inventory.hold: each='line' is no parameter of it"
    )


def test_a_fact_may_not_be_named_like_the_librarys_variables(service: Service) -> None:
    def hold_all(session: Session) -> SagaHeld: ...

    assert refused(lambda: service.step(hold_all)) == (
        "inventory.hold_all: a fact can't be named saga_held"
    )


def test_a_fact_that_is_a_table_is_refused(service: Service) -> None:
    def hold_all(session: Session) -> Shelf: ...

    assert "returns the table Shelf" in refused(lambda: service.step(hold_all))


@pytest.mark.parametrize("name", ["Hold", "holdStock", "_hold", "halt_" + "x" * 60, "hält"])
def test_a_name_that_is_no_element_id_is_refused(service: Service, name: str) -> None:
    def function(session: Session) -> None: ...

    function.__name__ = name

    assert refused(lambda: service.step(function)) == (
        f"a step is named {name!r}; names are snake_case, at most 63 long"
    )


def test_a_second_undo_is_refused(service: Service) -> None:
    step = service.step(hold)
    step.compensation(release)

    def release_again(session: Session, held: StockHeld) -> None: ...

    assert refused(lambda: step.compensation(release_again)) == (
        "inventory.hold: undone by release already"
    )
    assert "release_again" not in service.compensations


@pytest.mark.parametrize("kind", ["pivot", "retriable", "read_only"])
def test_only_compensatable_steps_are_undone(service: Service, kind: str) -> None:
    step = service.step(kind=kind)(hold)  # type: ignore[call-overload]

    assert refused(lambda: step.compensation(release)) == (
        f"inventory.hold: a {kind} step isn't undone"
    )


def undo_of_a_lamp(session: Session, packed: LinePacked) -> None: ...
def undo_with_two(session: Session, held: StockHeld, why: str) -> None: ...
def undo_that_answers(session: Session, held: StockHeld) -> StockHeld: ...
def undo_without_session(held: StockHeld) -> None: ...


@pytest.mark.parametrize(
    "function, said",
    [
        (undo_of_a_lamp, "takes LinePacked, but hold returns StockHeld"),
        (undo_with_two, "takes held, why; a compensation is given the step's fact only"),
        (undo_that_answers, "a compensation returns nothing"),
        (undo_without_session, "the undo of hold takes `session: Session`"),
    ],
)
def test_an_undo_that_can_not_work_is_refused(
    service: Service, function: Callable[..., object], said: str
) -> None:
    step = service.step(hold)

    assert refused(lambda: step.compensation(function)) == f"inventory.{function.__name__}: {said}"  # type: ignore[arg-type]
    assert step.undo is None


def test_an_undo_takes_no_fact_from_a_step_that_has_none(service: Service) -> None:
    def note(session: Session) -> None: ...

    step = service.step(note)

    assert refused(lambda: step.compensation(release)).endswith(  # type: ignore[arg-type]
        "takes StockHeld, but note returns nothing"
    )


def test_an_undo_may_do_without_the_fact(service: Service) -> None:
    def forget(session: Session, saga: Saga) -> None: ...

    undo = service.step(hold).compensation(forget)

    assert undo.fact_parameter is None
    assert undo.signature.saga == "saga"


def test_the_undo_of_a_remote_step_has_no_session(service: Service) -> None:
    def drop(session: Session, booked: ShipmentBooked) -> None: ...

    step = service.remote_step(call)

    assert refused(lambda: step.compensation(drop)) == (  # type: ignore[arg-type]
        "inventory.drop: the undo of call takes no session"
    )
    assert step.compensation(call_off).remote


def test_a_recorder_takes_a_session_and_the_fact(service: Service) -> None:
    step = service.remote_step(call)

    def keep_other(session: Session, held: StockHeld) -> None: ...
    def keep_nothing(session: Session) -> None: ...
    def keep_nowhere(booked: ShipmentBooked) -> None: ...

    for function in (keep_other, keep_nothing, keep_nowhere):
        assert refused(lambda function=function: step.record(function)) == (
            "inventory.call: record takes a session and ShipmentBooked"
        )
    assert step.recorder is None


def test_what_the_shop_declares_is_as_it_reads() -> None:
    assert (book_shipment.remote, hold_stock.remote) == (True, False)
    assert pack_line.each == "line"
    assert count_stock.kind == "read_only"
    assert issubclass(Refusal, Exception)
