"""Which variables an expression asks for: rather too few than one too many."""

import pytest

from sagaworks.check.feel import is_constant, names_in, plain_name


@pytest.mark.parametrize(
    "expression, names",
    [
        ("plain text", ""),
        ("=a", "a"),
        ("= a + b * 2", "a b"),
        ("=order.lines.first", "order"),
        ('="a" + b', "b"),
        ('="say \\"a\\"" + b', "b"),
        ('=saga_key + "/ship"', "saga_key"),
        ("=if a = null then b else c", "a b c"),
        ('=if pay_within = null then duration("PT2M") else duration(pay_within)', "pay_within"),
        ("=for line in lines return line.sku", "lines"),
        ("=some line in lines satisfies line.open", "lines"),
        ("=every x in xs, y in ys satisfies x > y and z", "xs ys z"),
        ("=items[price > limit]", "items"),
        ("=items[1].price + a", "items a"),
        ("=[a, b]", "a b"),
        ("={total: a, count: 2}", "a"),
        ('={"total": a}', "a"),
        ("=count(items) > 0", "items"),
        ("=string length(name) > 3", "name"),
        ("=get value(data, key)", "data key"),
        ('=date and time("2026-01-01T00:00:00Z") < due', "due"),
        ("=not(paid)", "paid"),
        ("=a between b and c", "a b c"),
        ("=a instance of number", "a"),
        ('=@"2026-01-01" < due', "due"),
        ("=`order id` + a", "a order_id"),
        ("=function(x) x + a", "a"),
        ("=a in [1..3]", "a"),
        ("=a // b", "a"),
        ("=a /* b */ + c", "a c"),
        ("=true and null = a", "a"),
        ("=", ""),
        ("=)(][", ""),
        ('="never ends', ""),
        ("=größe", "größe"),
    ],
)
def test_the_names_that_it_asks_for(expression: str, names: str) -> None:
    assert {name.replace(" ", "_") for name in names_in(expression)} == {*names.split()}


@pytest.mark.parametrize("expression", ['="payment"', "=42", "fixed"])
def test_what_asks_for_nothing_is_a_constant(expression: str) -> None:
    assert is_constant(expression)


@pytest.mark.parametrize("expression", ["=saga_key", "=now()", "=a.b"])
def test_what_differs_is_none(expression: str) -> None:
    assert not is_constant(expression)


@pytest.mark.parametrize(
    "expression, name",
    [("=hold", "hold"), ("= hold ", "hold"), ("=a.b", ""), ("=1", ""), ("a", "")],
)
def test_a_plain_name(expression: str, name: str) -> None:
    assert plain_name(expression) == name
