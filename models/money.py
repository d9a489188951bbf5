"""Money: exact amounts, kept as whole cents in every database."""

from decimal import Decimal
from typing import Annotated, Any

from sqlmodel import BigInteger, Field, TypeDecorator

Amount = Annotated[Decimal, Field(max_digits=14, decimal_places=2)]
"""An amount in a variable or a fact: at most two decimals, in the currency's main unit."""


class Money(TypeDecorator[Decimal]):
    """A column of amounts, stored as whole cents: SQLite would keep a decimal as a float."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> int | None:  # noqa: ANN401, ARG002
        """Return the cents of `value`.

        Raises:
            ValueError: the amount has a fraction of a cent.
        """
        if value is None:
            return None
        cents = Decimal(value).scaleb(2)
        if cents != cents.to_integral_value():
            raise ValueError("an amount has a fraction of a cent")
        return int(cents)

    def process_result_value(self, value: Any, dialect: Any) -> Decimal | None:  # noqa: ANN401, ARG002
        """Return the amount of so many cents; a sum comes as an integer or a decimal."""
        return None if value is None else Decimal(int(value)).scaleb(-2)
