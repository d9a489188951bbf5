"""A partner whose address can't be meant."""

from datetime import UTC, datetime

import pytest

from sagaworks import Halt, Refusal, Saga
from sagaworks.partner import Partner
from sagaworks.saga import SagaKey


class NoCarLeft(Refusal):
    """None of that class."""


@pytest.mark.parametrize(
    "url", ["http://cars.example:eighty", "http://cars.example:99999", "http://[::1"]
)
def test_an_address_that_can_not_be_read_halts_with_one_line(url: str) -> None:
    company = Partner("the rental company", lambda: url, refusal=NoCarLeft)
    saga = Saga(
        key=SagaKey(1),
        business_key="trip-7",
        attempt=1,
        deadline=datetime.now(UTC),
        idempotency_key="trip-7/rent_car",
    )

    with pytest.raises(Halt) as halted:
        company.ask("POST", "/rentals", saga)

    assert halted.value.why == (
        "the address of the rental company can't be read: set it as http://host:port, and restart"
        " the worker"
    )
