"""What a step may raise, and how the engine is told."""

from datetime import timedelta

import pytest

from sagaworks import Halt, Refusal, Retry, SagaworksError, StepOutcome
from sagaworks.codec import UnencodableError, UnreadableError
from sagaworks.errors import ConfigurationError, ContractError, EngineError, words_of
from sagaworks.ledger.answers import Outcome, Say, refusal_bytes, thrown


class OutOfStock(Refusal):
    """The shelf holds fewer units than the order asks for.

    More for those who read on.
    """


class NoCarrier(Refusal, code="NOBODY_DRIVES_THERE"):
    """No carrier goes there."""


@pytest.mark.parametrize(
    "name, words",
    [
        ("OutOfStock", ["out", "of", "stock"]),
        ("CardDeclined", ["card", "declined"]),
        ("HTTPError", ["http", "error"]),
        ("Held", ["held"]),
        ("Stock2Held", ["stock2", "held"]),
        ("IOFailed", ["io", "failed"]),
    ],
)
def test_a_class_name_is_cut_into_words(name: str, words: list[str]) -> None:
    assert words_of(name) == words


def test_a_refusals_code_is_its_class_name() -> None:
    assert OutOfStock.code == "OUT_OF_STOCK"
    assert OutOfStock("lamp").code == "OUT_OF_STOCK"


def test_a_refusals_code_may_be_named() -> None:
    class Nobody(NoCarrier): ...

    assert NoCarrier.code == "NOBODY_DRIVES_THERE"
    assert Nobody.code == "NOBODY"


def test_what_is_said_is_the_reason() -> None:
    assert OutOfStock("lamp: 0 left").why == "lamp: 0 left"
    assert str(Halt("look at it")) == "look at it"


def test_a_class_speaks_by_its_docstring_where_nothing_is_said() -> None:
    assert OutOfStock().why == "The shelf holds fewer units than the order asks for."
    assert str(OutOfStock()) == OutOfStock().why


def test_a_reason_is_text_whatever_was_said() -> None:
    assert OutOfStock(42).why == "42"  # type: ignore[arg-type]  # it happens


def test_a_subclass_may_have_arguments_of_its_own() -> None:
    class TooHeavy(Refusal):
        """It weighs too much."""

        def __init__(self, kilograms: int, *, most: int) -> None:
            self.kilograms = kilograms

    assert TooHeavy(80, most=50).why == "80"


def test_a_retry_may_name_its_pause() -> None:
    assert Retry("later", after=timedelta(seconds=5)).after == timedelta(seconds=5)
    assert Retry("later").after is None
    assert (
        Retry(after=timedelta(seconds=5)).why
        == "Not now: the engine offers the job again, one retry fewer."
    )


@pytest.mark.parametrize("outcome", [Refusal, Retry, Halt])
def test_what_a_step_may_raise_is_no_error_of_the_library(outcome: type[Exception]) -> None:
    assert issubclass(outcome, StepOutcome)
    assert not issubclass(outcome, SagaworksError)


@pytest.mark.parametrize(
    "error", [ConfigurationError, ContractError, EngineError, UnencodableError, UnreadableError]
)
def test_what_the_library_raises_has_one_base(error: type[Exception]) -> None:
    assert issubclass(error, SagaworksError)
    assert str(error("one line for people")) == "one line for people"


@pytest.mark.parametrize("why", ["lamp: 0 left", 'a "quote"', "Grüße ☂", "\ud800", "x" * 5000])
def test_a_refusal_comes_back_from_the_ledger_as_it_went(why: str) -> None:
    answer = thrown(Outcome.REFUSED, refusal_bytes(OutOfStock(why)), 7)

    assert (answer.say, answer.code, answer.message, answer.row) == (
        Say.THROW,
        "OUT_OF_STOCK",
        why,
        7,
    )
