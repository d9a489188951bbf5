"""The variables that a FEEL expression reads, by a tokenizer that would rather name too few."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

EXPRESSION: Final = "="

KEYWORDS: Final = frozenset(
    {
        *("if", "then", "else", "for", "in", "return", "some", "every", "satisfies"),
        *("and", "or", "between", "instance", "of", "function", "external", "not"),
        *("null", "true", "false", "item", "partial"),
    }
)
_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<text>@?"(?:[^"\\]|\\.)*")
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<quoted>`[^`]+`)
    |(?P<name>[^\W\d]\w*)
    |(?P<sign>\.\.|\*\*|<=|>=|!=|.)
    """,
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str


@cache
def names_in(expression: str) -> frozenset[str]:
    """Return the variables that the expression certainly asks for.

    A name in a filter may be a field of the list's items, and is left out; so are functions, also
    those whose name has several words, keys of contexts, and what the expression binds itself.

    Args:
        expression: as written in the diagram; what doesn't begin with ``=`` is plain text.
    """
    if not expression.startswith(EXPRESSION):
        return frozenset()
    tokens = [
        _Token(str(found.lastgroup), found[0])
        for found in _TOKEN.finditer(expression[1:])
        if found.lastgroup != "space"
    ]
    if any(one.text == '"' for one in tokens):
        return frozenset()  # a text without an end: the engine refuses it
    bound = frozenset(_bound(tokens))
    return frozenset(name for name in _roots(tokens) if name not in bound)


def is_constant(expression: str) -> bool:
    """Whether it gives the same in every saga: it reads nothing, and calls nothing."""
    return not names_in(expression) and "(" not in expression


def plain_name(expression: str) -> str:
    """Return the variable where the expression is nothing but that; else empty."""
    found = re.fullmatch(r"=\s*([^\W\d]\w*)\s*", expression)
    return found[1] if found and found[1] not in KEYWORDS else ""


def _roots(tokens: list[_Token]) -> Iterator[str]:
    depth = 0
    for number, (kind, text) in enumerate(tokens):
        before = tokens[number - 1].text if number else ""
        after = tokens[number + 1].text if number + 1 < len(tokens) else ""
        if text == "[" and kind == "sign":
            depth += _is_value(tokens, number) or depth > 0
        elif text == "]" and kind == "sign" and depth:
            depth -= 1
        elif depth or before in (".", "of") or text in KEYWORDS:
            continue
        elif kind == "quoted":
            yield text.strip("`")
        elif kind == "name" and after != ":" and not _is_function(tokens, number):
            yield text


def _is_value(tokens: list[_Token], number: int) -> bool:
    """Whether a bracket here filters what stands before it, instead of beginning a list."""
    if number == 0:
        return False
    kind, text = tokens[number - 1]
    return text in (")", "]", "}") or (kind in ("name", "quoted") and text not in KEYWORDS)


def _is_function(tokens: list[_Token], number: int) -> bool:
    """Whether the name, and the words after it, are followed by arguments."""
    while number < len(tokens) and tokens[number].kind == "name":
        number += 1
        if number < len(tokens) and tokens[number].text in KEYWORDS - {"and", "of", "not"}:
            return False
    return number < len(tokens) and tokens[number].text == "("


def _bound(tokens: list[_Token]) -> Iterator[str]:
    for number, (kind, text) in enumerate(tokens):
        if kind != "name":
            continue
        after = tokens[number + 1].text if number + 1 < len(tokens) else ""
        before = tokens[number - 1].text if number else ""
        if after == "in" and before in ("for", "some", "every", ","):
            yield text
        if text == "function" and after == "(":
            for one in tokens[number + 2 :]:
                if one.text == ")":
                    break
                if one.kind == "name":
                    yield one.text
