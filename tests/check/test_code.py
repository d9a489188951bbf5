"""What the check reads from the services' code: refusals, and the shapes of variables."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from sagaworks import Refusal
from sagaworks.check.refusals import codes_of
from sagaworks.check.shapes import misfit_of, shape_of


class OutOfStock(Refusal):
    """No."""


class TooMany(Refusal, code="TOO_MANY_ASKED"):
    """No."""


def raises() -> None:
    raise OutOfStock


def asks_another() -> None:
    raises()


def in_a_comprehension() -> list[int]:
    def inner() -> int:
        raise TooMany

    return [inner() for _ in range(3)]


def goes_round() -> None:
    goes_round()
    raises()


def chooses(*, much: bool) -> None:
    kind = TooMany if much else OutOfStock
    raise kind


def never() -> int:
    return len("OutOfStock")


@pytest.mark.parametrize(
    "function, codes",
    [
        (raises, {"OUT_OF_STOCK"}),
        (asks_another, {"OUT_OF_STOCK"}),
        (in_a_comprehension, {"TOO_MANY_ASKED"}),
        (goes_round, {"OUT_OF_STOCK"}),
        (chooses, {"OUT_OF_STOCK", "TOO_MANY_ASKED"}),
        (never, set()),
        (print, set()),
    ],
)
def test_a_function_can_raise_what_its_code_names(
    function: Callable[..., object], codes: set[str]
) -> None:
    assert codes_of(function) == codes


def test_a_refusal_from_the_function_around_is_seen() -> None:
    class Local(Refusal):
        """No."""

    def inner() -> None:
        raise Local

    assert codes_of(inner) == {"LOCAL"}


class Size(StrEnum):
    SMALL = "s"


@pytest.mark.parametrize(
    "annotation, kinds",
    [
        (int, {"number"}),
        (Decimal, {"number", "text"}),
        (str | None, {"text", "null"}),
        (Annotated[int, Field(gt=0)], {"number"}),
        (list[int], {"list"}),
        (dict[str, int], {"object"}),
        (UUID, {"text"}),
        (date, {"text"}),
        (Size, {"text"}),
        (Literal["a", 1], {"text", "number"}),
        (BaseModel, {"object"}),
    ],
)
def test_a_type_has_its_kinds_of_values(annotation: object, kinds: set[str]) -> None:
    assert shape_of(annotation) == kinds


def test_of_a_type_that_nobody_knows_anything_is_believed() -> None:
    assert len(shape_of(object)) == 6


class Held(BaseModel):
    sku: str
    quantity: int


class View(BaseModel):
    quantity: int


class OtherName(BaseModel):
    amount: int


class OtherType(BaseModel):
    quantity: bool


class Optional(BaseModel):
    quantity: int
    note: str = ""


@pytest.mark.parametrize(
    "wanted, told",
    [
        (Held, ""),
        (View, ""),
        (View | None, ""),
        (Annotated[View, Field()], ""),
        (Optional, ""),
        (dict[str, object], ""),
        (OtherName, "`held` has no `amount`, which OtherName asks for"),
        (OtherType, "`held.quantity` is int, not bool"),
        (str, "`held` is a Held, an object"),
    ],
)
def test_a_fact_fits_its_reader_or_it_is_told_how_not(wanted: object, told: str) -> None:
    assert misfit_of(Held, wanted, "held") == told
