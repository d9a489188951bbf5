"""Which refusals the check sees in a step's code."""

from sagaworks import Refusal, Saga
from sagaworks.check.refusals import codes_of
from sagaworks.partner import Partner


class NoCarLeft(Refusal):
    """None of that class."""


company = Partner("the rental company", lambda: "http://127.0.0.1:1", refusal=NoCarLeft)


def rent_car(saga: Saga) -> None:
    company.ask("POST", "/rentals", saga)


def wash_car() -> None:
    return


def test_a_partners_no_is_the_refusal_it_was_declared_with() -> None:
    assert codes_of(rent_car) == {"NO_CAR_LEFT"}


def test_what_asks_nobody_refuses_nothing() -> None:
    assert codes_of(wash_car) == frozenset()
