"""Logs: one line a record, with the saga's context and nobody's data."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Never

import pytest
from loguru import logger
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from sagaworks.errors import EngineError
from sagaworks.observe.logs import set_up_logs
from sagaworks.settings import Settings

CARD = "4111111111111111"

SetUp = Callable[..., Callable[[], str]]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    logger.remove()
    root.handlers[:] = before[0]
    root.setLevel(before[1])


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> SetUp:
    """Set the log up with these settings; the result reads what it wrote."""

    def set_up(**values: str) -> Callable[[], str]:
        settings = {f"SAGAWORKS_{name.upper()}": value for name, value in values.items()}
        set_up_logs(Settings.load(settings), "payments")
        return lambda: capsys.readouterr().err

    return set_up


def fail(error: Exception, cause: Exception | None = None) -> None:
    """Log an error as a worker does, with the frames of a step in its traceback."""
    try:
        charge_card(error, cause)
    except type(error) as caught:
        logger.bind(saga="order-42").opt(exception=caught).error("charge_card failed")


def charge_card(error: Exception, cause: Exception | None) -> Never:
    card = CARD
    assert card
    raise error from cause


def test_a_line_reads_time_level_service_saga_step_attempt_outcome_message(log: SetUp) -> None:
    written = log()
    context = {"saga": "order-42", "step": "charge_card", "attempt": 2, "outcome": "executed"}

    logger.bind(**context).info("took {} ms", 12)

    time, rest = written().split(" ", 1)
    assert rest == "INFO    payments order-42 charge_card #2 executed took 12 ms\n"
    assert len(time) == len("12:34:56.789")


def test_json_is_one_object_a_line(log: SetUp) -> None:
    written = log(log_format="json")

    logger.bind(saga="order\n42", job=7, attempt=1).warning("late")

    (line,) = written().splitlines()
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "WARNING",
        "service": "payments",
        "saga": "order\n42",
        "job": 7,
        "attempt": 1,
        "message": "late",
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_is_bound_beside_the_context_is_not_shown(log: SetUp, log_format: str) -> None:
    written = log(log_format=log_format)

    logger.bind(card=CARD).info("charging {}", "a card", number=CARD)

    assert CARD not in written()


@pytest.mark.parametrize("key", ["{x} {0} {{", "<red>", "\\<", "{extra[job]}"])
def test_a_key_that_looks_like_a_template_is_printed_as_it_is(log: SetUp, key: str) -> None:
    written = log()

    logger.bind(saga=key).info("done")

    assert f"payments {key} done\n" in written()


def test_a_key_cannot_begin_a_line_of_its_own_or_colour_the_screen(log: SetUp) -> None:
    written = log()

    logger.bind(saga="order-42\n00:00 ERROR \x1b[31m").info("done\r\n")

    assert written().count("\n") == 1


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    "error, cause",
    [
        (ValueError(CARD), None),
        (KeyError(CARD), None),
        (EngineError("no answer"), ValueError(CARD)),
        (OSError(2, "No such file", CARD), None),
    ],
)
def test_a_traceback_shows_places_and_types_but_no_values(
    log: SetUp, log_format: str, error: Exception, cause: Exception | None
) -> None:
    written = log(log_format=log_format)

    fail(error, cause)

    shown = written()
    assert "raise error from cause" in shown
    assert type(error).__name__ in shown
    assert CARD not in shown


def test_a_statements_parameters_are_not_shown(log: SetUp) -> None:
    written = log()
    engine = create_engine("sqlite://")
    try:
        with engine.connect() as connection, pytest.raises(OperationalError) as caught:
            connection.execute(text("INSERT INTO card VALUES (:card)"), {"card": CARD})
    finally:
        engine.dispose()

    logger.opt(exception=caught.value).error("failed")

    shown = written()
    assert "OperationalError" in shown
    assert CARD not in shown


def test_debug_shows_the_messages_of_errors(log: SetUp) -> None:
    written = log(log_level="DEBUG")

    fail(ValueError("not enough"))

    assert "ValueError: not enough" in written()


def test_the_librarys_own_errors_keep_their_message_and_their_cause_comes_first(log: SetUp) -> None:
    written = log()

    fail(EngineError("no engine answers"), OSError(111, "Connection refused"))

    shown = written()
    assert shown.index("Connection refused") < shown.index("EngineError: no engine answers")


def test_the_token_is_masked_wherever_it_turns_up(log: SetUp) -> None:
    written = log(token="hunter2")

    logger.info("sent hunter2")

    assert "sent ***" in written()


def test_the_level_is_the_settings(log: SetUp) -> None:
    written = log(log_level="WARNING")

    logger.info("quiet")
    logger.warning("loud")

    assert "quiet" not in (shown := written())
    assert "loud" in shown


def test_other_libraries_are_heard_from_warning_on(log: SetUp) -> None:
    written = log(log_level="DEBUG")

    logging.getLogger("grpc").info("connecting")
    logging.getLogger("grpc").warning("%s lost", "connection")
    logging.getLogger("grpc").log(35, "odd {level}")

    shown = written()
    assert "connecting" not in shown
    assert "WARNING payments grpc: connection lost\n" in shown
    assert "grpc: odd {level}\n" in shown


def test_setting_up_twice_does_not_write_twice(log: SetUp) -> None:
    log()
    written = log()

    logger.info("once")

    assert written().count("once") == 1
