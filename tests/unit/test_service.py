"""A service and what it declares; its readers."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from pydantic import BaseModel
from sqlmodel import Session

from sagaworks import ContractError, Saga, SagaworksError, Service
from tests.stores.shop import StockHeld, hold_stock, release_stock, shop


class Books(BaseModel):
    said: str


@pytest.fixture
def service() -> Service:
    return Service("inventory")


def hold(session: Session) -> StockHeld: ...
def release(session: Session, held: StockHeld) -> None: ...


@pytest.mark.parametrize("name", ["Inventory", "in-ventory", "1st", "", "x" * 64, "a b"])
def test_a_name_that_is_no_prefix_of_a_job_type_is_refused(name: str) -> None:
    with pytest.raises(ContractError, match="a service is named"):
        Service(name)


def test_a_service_finds_its_tasks_by_job_type() -> None:
    assert shop.task_of("shop.hold_stock") is hold_stock
    assert shop.task_of("shop.release_stock") is release_stock
    assert shop.task_of("shop.bake_bread") is None
    assert shop.task_of("bakery.hold_stock") is None


def test_a_name_is_declared_once(service: Service) -> None:
    step = service.step(hold)
    step.compensation(release)

    with pytest.raises(ContractError, match=r"inventory\.hold: declared twice"):
        service.step(hold)
    with pytest.raises(ContractError, match=r"inventory\.hold: declared twice"):
        service.remote_step(remote_named("hold"))
    with pytest.raises(ContractError, match=r"inventory\.release: declared twice"):
        service.step(local_named("release"))
    assert list(service.steps) == ["hold"]


def remote_named(name: str) -> Callable[[Saga], None]:
    def call(saga: Saga) -> None: ...

    call.__name__ = name
    return call


def local_named(name: str) -> Callable[[Session], None]:
    def call(session: Session) -> None: ...

    call.__name__ = name
    return call


def test_a_former_name_is_not_another_steps_name(service: Service) -> None:
    service.step(hold)

    with pytest.raises(ContractError, match=r"inventory\.set_aside: was='hold' is the name of"):
        service.step(was="hold")(local_named("set_aside"))
    with pytest.raises(ContractError, match="was='keep'"):
        service.step(was="keep")(local_named("keep"))


def test_a_former_name_is_not_taken_again(service: Service) -> None:
    service.step(was="hold")(local_named("set_aside"))

    with pytest.raises(ContractError, match=r"inventory\.set_aside: was='hold' is the name of"):
        service.step(hold)


# Readers.


def test_a_reader_stays_a_function(service: Service) -> None:
    @service.query
    def books(session: Session, sku: str = "lamp") -> Books:
        return Books(said=sku)

    with Session() as session:
        assert books(session, sku="chair") == Books(said="chair")
    assert service.queries == {"books": books}


def test_a_readers_parameters_come_as_text(service: Service) -> None:
    @service.query
    def books(
        session: Session, sku: str | None, most: int, price: Decimal, *, all_: bool = False
    ) -> Books:
        return Books(said=repr((sku, most, price, all_)))

    with Session() as session:
        answer = books.answer(session, {"sku": "42", "most": "7", "price": "1.50", "all_": "true"})
        default = books.answer(session, {"sku": "x", "most": "-7", "price": "2"})

    assert answer.said == "('42', 7, Decimal('1.50'), True)"
    assert default.said == "('x', -7, Decimal('2'), False)"


@pytest.mark.parametrize(
    "parameters, said",
    [({}, "`most` is missing"), ({"most": "secret"}, "most: ")],
)
def test_a_readers_parameters_are_checked(
    service: Service, parameters: dict[str, str], said: str
) -> None:
    @service.query
    def books(session: Session, most: int) -> Books:
        return Books(said=str(most))

    with Session() as session, pytest.raises(SagaworksError, match=said) as refused:
        books.answer(session, parameters)

    assert "secret" not in str(refused.value)


def test_a_reader_without_a_session_is_refused(service: Service) -> None:
    def books(sku: str) -> Books: ...
    def of_a_saga(session: Session, saga: Saga) -> Books: ...

    for function in (books, of_a_saga):
        with pytest.raises(ContractError, match="a query takes `session: Session` and parameters"):
            service.query(function)


def test_a_reader_is_declared_once(service: Service) -> None:
    def books(session: Session) -> Books: ...

    service.query(books)

    with pytest.raises(ContractError, match=r"inventory\.books: declared twice"):
        service.query(books)
