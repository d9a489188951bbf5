"""From the engine's job to what the ledger takes."""

import json
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagaworks import Halt
from sagaworks.codec import LARGEST, UnencodableError
from sagaworks.ledger.call import Delivery
from sagaworks.ledger.tables import LONGEST_EACH
from sagaworks.runtime.deliveries import delivery_of, digest, variables_to_fetch, why_not_a_key
from sagaworks.saga import LONGEST_KEY
from tests.stores.shop import (
    book_shipment,
    cancel_shipment,
    hold_stock,
    pack_line,
    release_stock,
    unpack_line,
)
from tests.stores.world import Task

LAMP = {"saga_key": "order-42", "sku": "lamp", "quantity": 2}


def delivered(task: Task, variables: object, **more: Any) -> Delivery:
    job = {
        "key": 7,
        "type": task.job_type,
        "processInstanceKey": 1,
        "bpmnProcessId": "place_order",
        "elementId": "hold_stock",
        "elementInstanceKey": 5,
        "deadline": 1_700_000_000_000,
        "variables": json.dumps(variables),
        "customHeaders": "",
    }
    return delivery_of(task, SimpleNamespace(**job | more), attempt=3, tenant="<default>")


def halt_of(task: Task, variables: object) -> str:
    with pytest.raises(Halt) as halted:
        delivered(task, variables)
    return halted.value.why


# What is fetched.


def test_a_step_fetches_what_it_asks_for_and_what_the_library_needs() -> None:
    assert variables_to_fetch(hold_stock) == (
        "saga_key",
        "saga_digest",
        "loopCounter",
        "sku",
        "quantity",
    )


def test_a_compensation_fetches_the_key_and_what_tells_runs_apart() -> None:
    library = ("saga_key", "saga_digest", "loopCounter", "saga_undone_by_hand")

    assert variables_to_fetch(release_stock) == library
    assert variables_to_fetch(unpack_line) == (*library, "line")
    assert variables_to_fetch(cancel_shipment) == library


# What is delivered.


def test_a_job_is_delivered_with_its_evidence() -> None:
    delivery = delivered(hold_stock, {**LAMP, "loopCounter": 2, "saga_digest": "d", "more": 1})

    arrival = delivery.arrival
    assert (arrival.saga_key, arrival.process_instance, arrival.process_id) == (
        "order-42",
        1,
        "place_order",
    )
    assert (arrival.job, arrival.element, arrival.element_instance) == (7, "hold_stock", 5)
    assert (arrival.each, arrival.loop_counter, arrival.start_digest) == ("", 2, "d")
    assert (arrival.step, arrival.names, arrival.undo_all) == ("hold_stock", ("hold_stock",), False)
    assert delivery.variables == {"sku": "lamp", "quantity": 2}
    assert (delivery.saga.business_key, delivery.saga.key, delivery.saga.attempt) == (
        "order-42",
        1,
        3,
    )
    assert delivery.saga.deadline == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_a_compensation_arrives_as_the_step_that_it_undoes() -> None:
    delivery = delivered(release_stock, {"saga_key": "order-42"}, customHeaders='{"undo":"all"}')

    assert delivery.arrival.step == "hold_stock"
    assert delivery.arrival.undo_all
    assert delivery.variables == {}


def test_inputs_are_the_same_whatever_their_order_and_whatever_else_there_is() -> None:
    first = delivered(hold_stock, {**LAMP, "other": 1}).arrival.inputs
    second = delivered(hold_stock, {"quantity": 2, "sku": "lamp", "saga_key": "k"}).arrival.inputs

    assert first == second
    assert first != delivered(hold_stock, {**LAMP, "quantity": 3}).arrival.inputs


def test_a_counter_that_is_none_of_the_engines_is_nothing() -> None:
    assert delivered(hold_stock, {**LAMP, "loopCounter": "two"}).arrival.loop_counter is None


def test_variables_beyond_all_measure_halt_instead_of_coming_for_ever() -> None:
    large = halt_of(hold_stock, {**LAMP, "sku": "x" * LARGEST})
    deep: list[Any] = []
    for _ in range(80):
        deep = [deep]

    assert "shop.hold_stock can't take its variables" in large
    assert "at most 1,000,000" in large
    assert "nested deeper" in halt_of(hold_stock, {**LAMP, "sku": deep})
    assert "beyond 64 bits" in halt_of(hold_stock, {**LAMP, "quantity": 2**64})


# What tells runs apart.


@pytest.mark.parametrize(
    "value, each", [("a", "a"), (7, "7"), (1.5, "1.5"), ({"b": 1, "a": 2}, '{"a": 2, "b": 1}')]
)
def test_what_tells_runs_apart_is_text(value: object, each: str) -> None:
    variables = {"saga_key": "order-42", "line": value}

    assert delivered(pack_line, variables).arrival.each == each
    assert delivered(unpack_line, variables).arrival.each == each


def test_a_step_that_can_not_tell_its_runs_apart_halts() -> None:
    said = halt_of(pack_line, {"saga_key": "order-42"})

    assert said == "shop.pack_line tells its runs apart by `line`, which is missing"


def test_a_compensation_need_not_tell_runs_apart() -> None:
    assert delivered(unpack_line, {"saga_key": "order-42"}).arrival.each is None
    assert delivered(unpack_line, {"saga_key": "order-42", "line": None}).arrival.each is None


@pytest.mark.parametrize("value", ["", "x" * (LONGEST_EACH + 1)])
def test_what_tells_runs_apart_has_a_length(value: str) -> None:
    said = halt_of(pack_line, {"saga_key": "order-42", "line": value})

    assert said == "`line` must be 1 to 100 characters to tell runs apart"


# The business key.


def test_a_saga_without_a_business_key_halts_naming_the_instance() -> None:
    said = halt_of(hold_stock, {"sku": "lamp", "quantity": 2})

    assert "process instance 1 has no variable `saga_key`" in said
    assert "sagaworks start" in said


@pytest.mark.parametrize(
    "key, why",
    [
        (42, "is int, not text"),
        (["a"], "is list, not text"),
        ("", "is empty"),
        (" order", "begins or ends with a blank"),
        ("order\n", "begins or ends with a blank"),
        ("order\x0042", "control character"),
        ("order\u200b42", "control character"),
        ("order\ud800", "control character"),
        ("x" * (LONGEST_KEY + 1), "has 201 characters, at most 200 fit"),
        ("Cafe\u0301", "normal form NFC"),
    ],
)
def test_a_key_that_could_be_mistaken_is_refused(key: object, why: str) -> None:
    assert why in (why_not_a_key(key) or "")
    assert why in halt_of(hold_stock, {**LAMP, "saga_key": key})


@pytest.mark.parametrize("key", ["order-42", "42", "a b", "заказ/42", "Café", "x" * LONGEST_KEY])
def test_these_are_keys(key: str) -> None:
    assert why_not_a_key(key) is None
    assert delivered(hold_stock, {**LAMP, "saga_key": key}).arrival.saga_key == key


@settings(database=None, deadline=None)
@given(st.text(st.sampled_from("aeo\u0301\u0308\u00e9 /"), max_size=8))
def test_two_keys_that_look_alike_are_never_both_keys(key: str) -> None:
    other = unicodedata.normalize("NFC", key).strip()

    assert other == key or why_not_a_key(key) is not None


# Digests.


def test_a_digest_is_of_the_values_and_not_of_their_types_or_order() -> None:
    assert digest({"a": Decimal("1.50"), "b": 1}) == digest({"b": 1, "a": "1.50"})
    assert len(digest({})) == 64


@pytest.mark.parametrize(
    "changed", [{"a": "1.5", "b": 1}, {"a": "1.50"}, {"a": "1.50", "b": "1"}, {"a": "1.50", "c": 1}]
)
def test_other_values_have_another_digest(changed: dict[str, object]) -> None:
    assert digest(changed) != digest({"a": "1.50", "b": 1})


def test_what_has_no_json_form_has_no_digest() -> None:
    with pytest.raises(UnencodableError):
        digest({"a": object()})


def test_a_remote_step_is_delivered_like_any_other() -> None:
    deliver: Callable[..., Delivery] = delivered

    assert deliver(book_shipment, {"saga_key": "k", "address": "x"}).variables == {"address": "x"}
