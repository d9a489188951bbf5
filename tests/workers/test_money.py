from decimal import Decimal

import pytest

from models.money import Amount, Money
from sagaworks.codec import UnreadableError, decode


@pytest.mark.parametrize("amount", ["0.00", "0.01", "19.90", "-3.33", "999999999999.99"])
def test_an_amount_comes_back_as_it_went_in(amount: str) -> None:
    stored = Money().process_bind_param(Decimal(amount), None)

    assert isinstance(stored, int)
    assert str(Money().process_result_value(stored, None)) == amount


def test_a_fraction_of_a_cent_is_refused() -> None:
    with pytest.raises(ValueError, match="fraction of a cent"):
        Money().process_bind_param(Decimal("0.001"), None)


def test_no_amount_stays_no_amount() -> None:
    assert Money().process_bind_param(None, None) is None
    assert Money().process_result_value(None, None) is None


def test_a_sum_that_comes_as_a_decimal_is_read_too() -> None:
    """PostgreSQL sums integers to a decimal."""
    assert Money().process_result_value(Decimal(1990), None) == Decimal("19.90")


def test_a_variable_with_a_fraction_of_a_cent_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match="2 decimal places"):
        decode(Amount, "0.001", place="amount")
