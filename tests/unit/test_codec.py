"""Values as the engine keeps them: strict in both directions, and silent about what they are."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel, field_validator
from sqlmodel import SQLModel

from sagaworks.codec import (
    DEEPEST,
    LARGEST,
    UnencodableError,
    UnreadableError,
    decode,
    decode_bytes,
    decode_text,
    encode,
    readable,
    to_json,
)


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    BIG = 3


class Way(StrEnum):
    SEA = "sea"


class Line(SQLModel):
    sku: str
    price: Decimal


class Order(BaseModel):
    lines: list[Line]
    placed: datetime
    colour: Colour = Colour.RED
    stock: dict[Colour, int] = {}


class Wide(BaseModel):
    weight: float


class Nested(BaseModel):
    wide: Wide


class Tree(BaseModel):
    branches: list["Tree"] = []


# Out.


@pytest.mark.parametrize(
    "value, plain",
    [
        (None, None),
        (True, True),
        (-3, -3),
        (1.5, 1.5),
        ("Grüße ☂", "Grüße ☂"),
        (Decimal("19.90"), "19.90"),
        (Decimal("1E+5"), "1E+5"),
        (date(2026, 2, 28), "2026-02-28"),
        (time(23, 59, 1), "23:59:01"),
        (datetime(2026, 2, 28, 1, 2, 3, tzinfo=UTC), "2026-02-28T01:02:03+00:00"),
        (timedelta(minutes=2), "PT2M"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        (Size.BIG, 3),
        (Way.SEA, "sea"),
        ((1, 2), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        ({Colour.RED: 1, Way.SEA: 2}, {"red": 1, "sea": 2}),
        (Line(sku="lamp", price=Decimal("1.0")), {"sku": "lamp", "price": "1.0"}),
        (RootModel[list[int]]([1, 2]), [1, 2]),
    ],
)
def test_business_values_have_a_json_form(value: object, plain: object) -> None:
    assert to_json(value) == plain
    assert type(to_json(value)) is type(plain)


def test_models_within_models_are_objects() -> None:
    order = Order(
        lines=[Line(sku="lamp", price=Decimal("1.0"))],
        placed=datetime(2026, 1, 1, tzinfo=UTC),
        stock={Colour.RED: 2},
    )

    assert json.loads(encode(order)) == {
        "lines": [{"sku": "lamp", "price": "1.0"}],
        "placed": "2026-01-01T00:00:00+00:00",
        "colour": "red",
        "stock": {"red": 2},
    }


def test_equal_values_are_equal_bytes() -> None:
    assert (
        encode({"b": 1, "a": [Decimal(2)]})
        == encode({"a": ["2"], "b": 1})
        == (b'{"a":["2"],"b":1}')
    )


def test_text_is_written_as_it_is() -> None:
    assert encode("Grüße ☂") == '"Grüße ☂"'.encode()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Inf")])
def test_what_is_no_number_is_refused_wherever_it_hides(number: float | Decimal) -> None:
    for hidden in (number, [number], {"a": {"b": number}}):
        with pytest.raises(UnencodableError, match="can't be written as JSON"):
            encode(hidden)


def test_what_is_no_number_is_refused_inside_models_naming_the_place() -> None:
    nested = Nested(wide=Wide(weight=float("nan")))

    with pytest.raises(UnencodableError, match=r"^the fact\.wide\.weight: nan"):
        encode(nested, place="the fact")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**300])
def test_an_integer_the_engine_can_not_keep_is_refused(number: int) -> None:
    with pytest.raises(UnencodableError, match="beyond 64 bits"):
        encode([number])


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63)])
def test_the_largest_integers_are_kept(number: int) -> None:
    assert decode_bytes(int, encode(number), place="n") == number


@pytest.mark.parametrize(
    "value", ["\ud800", ["a\udfff"], {"\ud800": 1}, Line(sku="\ud800", price=0)]
)
def test_text_that_is_no_unicode_is_refused(value: object) -> None:
    with pytest.raises(UnencodableError, match="lone surrogate"):
        encode(value)


@pytest.mark.parametrize("key", [1, None, (1,), Size.BIG, UUID(int=1)])
def test_a_key_that_is_no_text_is_refused(key: object) -> None:
    with pytest.raises(UnencodableError, match="JSON keys are text"):
        encode({key: 1})


def test_two_keys_that_would_be_one_are_refused() -> None:
    with pytest.raises(UnencodableError, match="two keys are the same text"):
        encode({Colour.RED: 1, "red": 2})


@pytest.mark.parametrize("value", [object(), b"bytes", complex(1), Colour, print, iter([])])
def test_what_has_no_json_form_is_refused_by_its_type(value: object) -> None:
    with pytest.raises(UnencodableError, match=f"value: {type(value).__name__} has no JSON form"):
        encode(value)


def test_values_may_be_deep_but_not_bottomless() -> None:
    deep: list[Any] = []
    for _ in range(DEEPEST):
        deep = [deep]
    encode(deep)

    with pytest.raises(UnencodableError, match="nested deeper than 64 levels"):
        encode([deep])


def test_a_value_that_contains_itself_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    tree = Tree()
    tree.branches.append(tree)

    with pytest.raises(UnencodableError, match="nested deeper"):
        encode(ring)
    with pytest.raises(UnencodableError, match="Tree contains itself, or is nested too deeply"):
        encode(tree)


def test_a_megabyte_fits_and_a_byte_more_does_not() -> None:
    assert len(encode("x" * (LARGEST - 2))) == LARGEST

    with pytest.raises(UnencodableError, match="order: 1,000,001 bytes, at most 1,000,000 fit"):
        encode("x" * (LARGEST - 1), place="order")


def test_the_size_is_measured_in_bytes() -> None:
    with pytest.raises(UnencodableError, match="bytes"):
        encode("☂" * (LARGEST // 2))


def test_a_field_of_the_wrong_type_warns_nobody_of_its_value() -> None:
    line = Line(sku="lamp", price=Decimal(1))
    line.price = "secret"  # type: ignore[assignment]  # models don't validate this

    assert encode(line) == b'{"price":"secret","sku":"lamp"}'  # and filterwarnings is "error"


# In.


@pytest.mark.parametrize(
    "annotation, plain, value",
    [
        (int, 2, 2),
        (float, 2, 2.0),
        (str, "2", "2"),
        (bool, True, True),
        (Decimal, "19.90", Decimal("19.90")),
        (Decimal, 19.9, Decimal("19.9")),
        (Decimal, 2, Decimal(2)),
        (date, "2026-02-28", date(2026, 2, 28)),
        (datetime, "2026-02-28T01:02:03Z", datetime(2026, 2, 28, 1, 2, 3, tzinfo=UTC)),
        (timedelta, "PT2M", timedelta(minutes=2)),
        (UUID, str(UUID(int=1)), UUID(int=1)),
        (Colour, "red", Colour.RED),
        (Size, 3, Size.BIG),
        (str | None, None, None),
        (Literal["a"], "a", "a"),
        (list[Line], [{"sku": "a", "price": "1"}], [Line(sku="a", price=Decimal(1))]),
        (dict[Colour, int], {"red": 1}, {Colour.RED: 1}),
        (tuple[int, ...], [1], (1,)),
        (set[int], [1], {1}),
        (Annotated[int, Field(gt=1)], 2, 2),
        (Any, {"a": [1]}, {"a": [1]}),
    ],
)
def test_variables_are_read_as_their_type(annotation: object, plain: object, value: object) -> None:
    found = decode(annotation, plain, place="p")

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "annotation, plain",
    [
        (int, "2"),
        (int, 2.0),
        (int, 2.5),
        (int, True),
        (int, None),
        (float, "2"),
        (str, 2),
        (bool, 1),
        (bool, "true"),
        (Decimal, "two"),
        (Decimal, True),
        (Decimal, "NaN"),
        (date, "2026-02-30"),
        (date, 20260228),
        (datetime, 0),
        (timedelta, 5),
        (Colour, "blue"),
        (Annotated[int, Field(gt=1)], 1),
        (list[int], {"a": 1}),
        (Line, {"sku": "a"}),
        (str, "\ud800"),
    ],
)
def test_a_variable_of_another_type_is_refused(annotation: object, plain: object) -> None:
    with pytest.raises(UnreadableError, match=r"^shop needs `x`: "):
        decode(annotation, plain, place="shop needs `x`")


class Card(BaseModel):
    kind: Literal["card"]
    number: str

    @field_validator("number")
    @classmethod
    def check(cls, number: str) -> str:
        raise ValueError(f"{number} isn't a card's number")


class Cash(BaseModel):
    kind: Literal["cash"]


@pytest.mark.parametrize(
    "annotation, plain",
    [
        (int, "secret"),
        (UUID, "secret"),
        (date, "secret"),
        (Decimal, "secret"),
        (Colour, "secret"),
        (Literal["a"], "secret"),
        (Annotated[str, Field(max_length=2)], "secret"),
        (Annotated[str, Field(pattern="^a$")], "secret"),
        (Annotated[Card | Cash, Field(discriminator="kind")], {"kind": "secret"}),
        (Card, {"kind": "card", "number": "secret"}),
        (list[int], ["secret"]),
        (Line, {"sku": "a", "price": "secret"}),
    ],
)
def test_no_error_tells_the_value(annotation: object, plain: object) -> None:
    with pytest.raises(UnreadableError) as refused:
        decode(annotation, plain, place="p")

    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_an_error_names_the_field() -> None:
    with pytest.raises(UnreadableError, match=r"^p: lines\.0\.price: Field required; placed: "):
        decode(Order, {"lines": [{"sku": "a"}]}, place="p")


def test_an_alias_is_read_by_either_name() -> None:
    class Address(BaseModel):
        zip_code: str = Field(alias="zipCode")

    address = Address(zipCode="1010")

    assert decode(Address, {"zipCode": "1010"}, place="p") == address
    assert decode_bytes(Address, encode(address), place="p") == address


def test_bytes_that_are_no_json_are_refused() -> None:
    with pytest.raises(UnreadableError, match=r"^p: Invalid JSON"):
        decode_bytes(int, b"{", place="p")


@pytest.mark.parametrize(
    "annotation, text, value",
    [
        (str, "42", "42"),
        (str | None, "42", "42"),
        (int, "42", 42),
        (float, "1.5", 1.5),
        (bool, "true", True),
        (Decimal, "19.90", Decimal("19.90")),
        (date, "2026-02-28", date(2026, 2, 28)),
        (Colour, "red", Colour.RED),
    ],
)
def test_text_of_a_url_is_read_as_its_type(annotation: object, text: str, value: object) -> None:
    assert decode_text(annotation, text, place="p") == value


@pytest.mark.parametrize("annotation", [int, bool, date])
def test_text_of_another_type_is_refused_without_the_text(annotation: object) -> None:
    with pytest.raises(UnreadableError, match=r"^p: ") as refused:
        decode_text(annotation, "secret", place="p")

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("annotation", [int, Line, list[Line], Annotated[int, Field(gt=0)], Any])
def test_these_can_be_read_from_json(annotation: object) -> None:
    assert readable(annotation)


def test_an_arbitrary_class_can_not_be_read_from_json() -> None:
    class Connection: ...

    assert not readable(Connection)
    assert not readable(Connection | None)


# Both ways.

KEPT = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
VALUES = st.recursive(
    KEPT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(database=None, deadline=None)
@given(VALUES)
def test_plain_data_comes_back_as_it_went(value: object) -> None:
    encoded = encode(value)

    assert json.loads(encoded) == value
    assert encode(json.loads(encoded)) == encoded


@pytest.mark.parametrize(
    "annotation, values",
    [
        (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
        (date, st.dates()),
        (datetime, st.datetimes(timezones=st.just(UTC))),
        (time, st.times()),
        (timedelta, st.timedeltas(timedelta(-999), timedelta(999))),
        (UUID, st.uuids()),
    ],
)
def test_business_values_come_back_as_they_went(annotation: object, values: Any) -> None:
    @settings(database=None, deadline=None)
    @given(values)
    def check(value: object) -> None:
        assert decode_bytes(annotation, encode(value), place="p") == value

    check()
