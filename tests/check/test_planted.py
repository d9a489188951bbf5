"""Mistakes that people make in a right saga: each is found, in its place."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sagaworks.check import check
from sagaworks.project import Project
from sagaworks.service import Service

ROOT = Path(__file__).parents[2]
PLACE_ORDER = ROOT / "bpmn" / "place_order.bpmn"
BOOK_TRIP = ROOT / "bpmn" / "book_trip.bpmn"

REFUSED = '<bpmn:errorEventDefinition id="refused_or_overdue_definition" />'
OVERDUE = 'errorRef="payment_overdue_error" />'
LATE = f'<bpmn:errorEventDefinition id="not_paid_in_time_definition" {OVERDUE}'
AGAIN = '<bpmn:sequenceFlow id="again" sourceRef="book_shipment" targetRef="hold_stock" />'
FLOWS = '<bpmn:sequenceFlow id="order_placed_to_accept_order"'
FOR_EACH = "<bpmn:multiInstanceLoopCharacteristics />"
HOLD = "<bpmn:outgoing>hold_stock_to_charge_card</bpmn:outgoing>"
SHIP = '<zeebe:taskDefinition type="inventory.ship_stock" retries="10" />'
KEY = '<zeebe:ioMapping><zeebe:output source="=1" target="saga_key" /></zeebe:ioMapping>'
NOBODY = '<bpmn:association id="charge_card_to_refund_card" associationDirection="One" '

Found = set[tuple[str, str]]


@pytest.fixture(scope="module")
def services() -> Sequence[Service]:
    return Project.load(ROOT).load_services()


@pytest.fixture(scope="module")
def others() -> Sequence[Path]:
    """Diagrams that draw the steps which this saga doesn't."""
    return Project.load(ROOT).diagram_files()


@pytest.fixture
def found(
    tmp_path: Path, services: Sequence[Service], others: Sequence[Path]
) -> Callable[..., Found]:
    def found(*changes: tuple[str, str], saga: Path = PLACE_ORDER) -> Found:
        text = saga.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        spoiled = tmp_path / saga.name
        spoiled.write_text(text)
        told = check([*others, spoiled], services, asked=[spoiled])
        return {(one.rule, one.element) for one in told if one.severity != "info"}

    return found


@pytest.mark.parametrize(
    "old, new, expected",
    [
        # An undo that never happens
        (
            REFUSED,
            REFUSED.replace(" />", ' errorRef="payment_overdue_error" />'),
            "uncaught-refusal",
        ),
        (LATE, "", "path-without-undo"),
        ('activityRef="hold_stock"', 'activityRef="charge_card"', "path-without-undo"),
        ('triggeredByEvent="true"', "", "uncaught-refusal"),
        (f'{NOBODY}sourceRef="charge_card_undone_by" targetRef="refund_card" />', "", "no-undo"),
        ('attachedToRef="hold_stock"', 'attachedToRef="ship_stock"', "no-undo"),
        ('targetRef="release_stock"', 'targetRef="refund_card"', "wrong-handler"),
        # One name
        ('"inventory.hold_stock"', '"inventory.hold_stok"', "unknown-step"),
        ('"inventory.hold_stock"', '"inventry.hold_stock"', "mistyped-service"),
        ('"inventory.hold_stock"', '"billing.write_invoice"', "undrawn-step"),
        ('id="ship_stock"', 'id="Activity_17"', "dangling-reference"),
        ('process id="place_order"', 'process id="order_placing"', "file-name"),
        # Kinds
        ('name="saga.kind" value="pivot"', 'name="saga.kind" value="retriable"', "kind-differs"),
        ('name="saga.kind" value="pivot"', 'name="saga.knd" value="pivot"', "saga-property"),
        # Repetition
        (FLOWS, f"{AGAIN}{FLOWS}", "no-each"),
        (HOLD, f"{HOLD}{FOR_EACH}", "no-each"),
        (HOLD, f"{HOLD}{FOR_EACH}", "undo-all"),
        (HOLD, f"{HOLD}{FOR_EACH}", "leave-undeclared"),
        # Jobs and variables
        (SHIP, SHIP.replace("10", "0"), "retries"),
        (SHIP, SHIP.replace("10", "1"), "few-retries"),
        (SHIP, SHIP + KEY, "library-variable"),
        ('isForCompensation="true"', "", "handler-flag"),
    ],
)
def test_the_mistake_is_found(
    found: Callable[..., Found], old: str, new: str, expected: str
) -> None:
    assert expected in {rule for rule, _ in found((old, new))}


def test_a_step_before_the_one_whose_fact_it_asks_for_is_found(
    found: Callable[..., Found],
) -> None:
    moved = found(
        (
            'sourceRef="order_placed" targetRef="accept_order"',
            'sourceRef="order_placed" targetRef="ship_stock"',
        ),
        (
            'sourceRef="ship_stock" targetRef="order_shipped"',
            'sourceRef="ship_stock" targetRef="accept_order"',
        ),
        (
            'sourceRef="confirm_order" targetRef="ship_stock"',
            'sourceRef="confirm_order" targetRef="order_shipped"',
        ),
    )

    assert ("missing-variable", "ship_stock") in moved


def test_throws_in_the_order_of_the_steps_are_found(found: Callable[..., Found]) -> None:
    swapped = found(
        ('activityRef="charge_card"', 'activityRef="a_step"'),
        ('activityRef="hold_stock"', 'activityRef="charge_card"'),
        ('activityRef="a_step"', 'activityRef="hold_stock"'),
    )

    assert swapped == {("undo-order", "release_the_stock")}


def test_a_cancellation_after_the_pivot_is_found(found: Callable[..., Found]) -> None:
    message = (
        '<bpmn:message id="cancel" name="cancel"><bpmn:extensionElements>'
        '<zeebe:subscription correlationKey="=saga_key" /></bpmn:extensionElements></bpmn:message>'
        '<bpmn:error id="payment_overdue_error"'
    )
    cancelled = found(
        (REFUSED, '<bpmn:messageEventDefinition id="by" messageRef="cancel" />'),
        ('<bpmn:error id="payment_overdue_error"', message),
    )

    assert ("undo-after-pivot", "refused_or_overdue") in cancelled
    assert ("uncaught-refusal", "hold_stock") in cancelled


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ('name="saga.leave" value="undo"', 'name="team" value="x"', "leave-undeclared"),
        ('name="saga.leave" value="undo"', 'name="saga.leave" value="forget"', "saga-property"),
        ('key="undo" value="all"', 'key="undo" value="one"', "undo-all"),
        ('correlationKey="=saga_key"', 'correlationKey="=&quot;trips&quot;"', "message-key"),
        ('correlationKey="=saga_key"', 'correlationKey=""', "message-key"),
        ('activityRef="hold_seat"', 'activityRef="rent_car"', "path-without-undo"),
        ('activityRef="arrange_stay"', 'activityRef="rent_car"', "path-without-undo"),
        ('activityRef="hold_room"', 'activityRef="hold_seat"', "throw-reaches-nothing"),
        ('attachedToRef="await_confirmation"', 'attachedToRef="hold_room"', "no-deadline"),
        ('inputElement="traveller"', 'inputElement="person"', "each-not-given"),
        (
            'type="hotels.book_room" retries="10"',
            'type="hotels.book_room" retries="1"',
            "few-retries",
        ),
    ],
)
def test_the_mistake_in_the_other_saga_is_found(
    found: Callable[..., Found], old: str, new: str, expected: str
) -> None:
    assert expected in {rule for rule, _ in found((old, new), saga=BOOK_TRIP)}
