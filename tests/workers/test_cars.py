"""Cars, against the simulated rental company; what a partner's answers mean is shipping's test."""

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlmodel import Session

from demo.rental_stub import ALWAYS_OUT, RentalCompany, Server
from models.cars import CarRented
from sagaworks import Halt, Saga
from workers.cars import NoCarLeft, books, drop_rental, keep_rental, rent_car, return_car

SagaMaker = Callable[..., Saga]


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Iterator[RentalCompany]:
    company = RentalCompany()
    with Server(company) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("RENTAL_URL", server.url)
        yield company
        server.shutdown()
        thread.join()


def test_a_rented_car_has_the_companys_number(company: RentalCompany, a_saga: SagaMaker) -> None:
    rented = rent_car(a_saga(), car_class="van")

    assert rented == CarRented(rental="R-000001", car_class="van")
    assert company.books()["booked"] == 1


def test_a_class_that_is_out_is_no_car_left(company: RentalCompany, a_saga: SagaMaker) -> None:
    with pytest.raises(NoCarLeft, match="none of that class"):
        rent_car(a_saga(), car_class=ALWAYS_OUT)

    assert company.books()["booked"] == 0


def test_a_returned_car_is_returned_at_the_company(
    company: RentalCompany, a_saga: SagaMaker
) -> None:
    return_car(a_saga(idempotency_key="another"), rent_car(a_saga(), car_class="van"))

    assert company.books()["cancelled"] == 1


@pytest.mark.usefixtures("company")
def test_a_rental_unknown_to_the_company_needs_a_person(a_saga: SagaMaker) -> None:
    with pytest.raises(Halt, match="the rental company answers 404"):
        return_car(a_saga(), CarRented(rental="R-9", car_class="van"))


def test_what_was_rented_and_returned_is_in_the_books(session: Session) -> None:
    for rental in ("R-1", "R-2"):
        keep_rental(session, CarRented(rental=rental, car_class="van"))
    drop_rental(session, CarRented(rental="R-2", car_class="van"))

    found = books(session)

    assert (found.rented, found.returned) == (2, 1)
