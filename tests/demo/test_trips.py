"""The plan of trips, and the books that are kept of them."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from demo.command import _saga
from demo.errors import DemoError
from demo.home import Home
from demo.rental_stub import ALWAYS_OUT
from demo.sagas import BOOK_TRIP, PLACE_ORDER, SAGAS
from demo.trip_books import TripBooks, read_trip_books, unfinished_trips
from demo.trips import FULL_HOTEL, SHARES, SMALL_PLANE, Fate, make_plan
from models.cars import CarBooks
from models.flights import FlightBooks
from models.hotels import HotelBooks
from models.payments import PaymentBooks
from sagaworks.diagram import read_diagram
from sagaworks.project import Project

FLIGHTS = FlightBooks(
    open=0,
    ticketed=6,
    closed=3,
    travellers_ticketed=10,
    money_ticketed=Decimal(2400),
    seats=100,
    free=90,
    held=0,
    sold=10,
)
PAYMENTS = PaymentBooks(
    opened_with=Decimal(9000),
    on_cards=Decimal(6600),
    charged=Decimal(2880),
    refunded=Decimal(480),
    charges=7,
    refunds=1,
)
RIGHT = TripBooks(
    placed=10,
    turned_away=1,
    lost=(),
    flights=FLIGHTS,
    hotels=HotelBooks(rooms=20, free=13, held=0, booked=7, stays=6),
    cars=CarBooks(rented=8, returned=2),
    payments=PAYMENTS,
    company={"booked": 8, "cancelled": 2, "busy": 1, "repeated": 1},
)


def wrong(books: TripBooks) -> list[str]:
    return [line.text for line in books.prove() if not line.holds]


def test_a_hundred_trips_have_the_shares_of_the_table() -> None:
    assert Counter(trip.fate for trip in make_plan(100, seed=1).orders) == SHARES


def test_few_trips_still_show_each_fate() -> None:
    assert {trip.fate for trip in make_plan(8, seed=1).one_of_each()} == set(Fate)


def test_the_same_seed_plans_the_same_trips() -> None:
    assert make_plan(50, seed=7) == make_plan(50, seed=7)
    assert make_plan(50, seed=7) != make_plan(50, seed=8)


def test_what_a_trip_needs_is_there_unless_its_fate_says_otherwise() -> None:
    plan = make_plan(200, seed=1)

    for trip in plan.orders:
        variables = trip.variables
        assert plan.seats[str(variables["flight"])] >= (2 if trip.fate is Fate.NO_SEAT else 800)
        assert (variables["hotel"] == FULL_HOTEL) is (trip.fate is Fate.NO_ROOM)
        assert (variables["car_class"] == ALWAYS_OUT) is (trip.fate is Fate.NO_CAR)
        assert (variables["flight"] == SMALL_PLANE) is (trip.fate is Fate.NO_SEAT)
        assert (variables["travellers"] == []) is (trip.fate is Fate.NOBODY)
    assert {str(trip.variables["card"]) for trip in plan.orders} <= {c.number for c in plan.cards}


def test_right_books_add_up() -> None:
    assert wrong(RIGHT) == []


@pytest.mark.parametrize(
    "part, changes, line",
    [
        ("flights", {"closed": 2}, "every trip has one end"),
        ("flights", {"open": 1}, "every trip has one end"),
        ("flights", {"free": 89}, "seats add up"),
        ("flights", {"free": 89, "held": 1}, "each traveller who was promised a trip"),
        ("flights", {"free": 89, "sold": 11}, "each traveller who was promised a trip"),
        ("hotels", {"free": 12}, "rooms add up"),
        ("hotels", {"free": 12, "held": 1}, "one stay for each ticketed trip"),
        ("hotels", {"stays": 7}, "one stay for each ticketed trip"),
        ("payments", {"on_cards": Decimal(6601)}, "money adds up"),
        ("payments", {"on_cards": Decimal(6360), "charged": Decimal(3120)}, "who was promised"),
        ("cars", {"returned": 1}, "we and the rental company agree"),
    ],
)
def test_each_fault_is_told_by_its_line(part: str, changes: dict[str, Any], line: str) -> None:
    spoiled = getattr(RIGHT, part).model_copy(update=changes)

    assert any(text.startswith(line) for text in wrong(replace(RIGHT, **{part: spoiled})))


def test_a_car_that_only_the_company_knows_is_told() -> None:
    spoiled = replace(RIGHT, company={**RIGHT.company, "booked": 9})

    assert any(text.startswith("one car for each ticketed trip") for text in wrong(spoiled))


def test_a_trip_that_nobody_knows_is_named() -> None:
    assert "nobody knows 1, such as trip-9" in wrong(replace(RIGHT, lost=("trip-9",)))


def test_the_table_says_who_is_simulated() -> None:
    console = Console(file=StringIO(), width=120)
    console.print(RIGHT.draw())

    text = console.file.getvalue()
    assert "rental company (simulated)" in text
    assert all(f"{service} " in text for service in BOOK_TRIP.services)


class Told:
    """Services that say what a test tells them to: one trip ticketed, one open, one refused."""

    def query(self, service: str, name: str) -> Any:
        if name == "list_bookings":
            return [
                {"booking": "trip-1", "status": "ticketed"},
                {"booking": "trip-2", "status": "open"},
            ]
        return getattr(RIGHT, service).model_dump(mode="json")

    def ledger(self, service: str, key: str) -> list[dict[str, str]]:
        is_known = service == "flights" and key == "trip-3"
        return [{"step": "open_booking", "event": "refused"}] if is_known else []

    def rental_company(self) -> dict[str, int]:
        return RIGHT.company


def test_the_books_tell_who_was_turned_away_from_who_is_lost() -> None:
    books = read_trip_books(Told(), ["trip-1", "trip-2", "trip-3", "trip-4"])

    assert (books.placed, books.turned_away, books.lost) == (4, 1, ("trip-4",))
    assert books.flights == FLIGHTS


def test_a_trip_that_is_open_or_unheard_of_has_no_end_yet() -> None:
    assert unfinished_trips(Told(), ["trip-1", "trip-2", "trip-3", "trip-4"]) == [
        "trip-2",
        "trip-4",
    ]


@pytest.mark.parametrize("saga", SAGAS.values(), ids=SAGAS)
def test_what_the_demo_says_of_a_saga_is_what_is_drawn(saga: Any) -> None:
    """Its services, its first step and its last are the diagram's."""
    diagram = read_diagram(Project.load().root / "bpmn" / f"{saga.process}.bpmn")

    steps = {t.id: t for t in diagram.tasks.values() if not t.is_compensation}
    assert [step.name for step in saga.steps if step.name not in steps] == []
    assert {step.name for step in saga.steps} == steps.keys() - {"choose_another_car"}
    assert {t.job_type.partition(".")[0] for t in steps.values()} == set(saga.services)
    assert [step.id for step in diagram.first_steps()] == [saga.steps[0].name]


def test_what_a_person_is_told_to_type_is_a_command_for_what_is_drawn() -> None:
    [words] = BOOK_TRIP.awaits
    command, message, key, *_ = words.format(key="my-trip").split()

    assert (command, key) == ("message", "my-trip")
    drawn = (Project.load().root / "bpmn" / "book_trip.bpmn").read_text()
    assert f'<bpmn:message id="{message}_message" name="{message}">' in drawn


def test_the_default_saga_is_place_order() -> None:
    assert next(iter(SAGAS.values())) is PLACE_ORDER


@pytest.fixture
def kept(tmp_path: Path) -> Home:
    """What a run of place_order has left."""
    home = Home(tmp_path / "demo")
    home.folder.mkdir()
    home.seeded.write_text("place_order")
    return home


def test_the_data_of_another_saga_is_not_kept_up(kept: Home) -> None:
    with pytest.raises(DemoError, match="is of place_order: say --saga place_order, or run"):
        _saga(kept, "up", "book_trip")

    assert _saga(kept, "up", "place_order") is PLACE_ORDER


def test_a_run_begins_afresh_whatever_was_kept(kept: Home) -> None:
    assert _saga(kept, "run", "book_trip") is BOOK_TRIP
