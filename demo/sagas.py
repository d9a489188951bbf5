"""The two reference sagas, as the demo runs them: what differs between them, in one place."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from rich.table import Table

from demo.books import Line, draw_books, prove, read_books, unfinished
from demo.people import Meet, simulated_holders, simulated_travel_people
from demo.plan import PlannedSaga, make_plan
from demo.readings import Readings
from demo.seed import seed, seed_trips
from demo.trip_books import TripBooks, read_trip_books, unfinished_trips
from demo.trips import make_plan as make_trip_plan
from sagaworks.service import Service
from sagaworks.settings import Settings
from sagaworks.step import Step
from workers.cars import rent_car
from workers.flights import flights, hold_seat, issue_tickets, open_booking
from workers.hotels import book_room, hold_room
from workers.inventory import hold_stock, ship_stock
from workers.orders import accept_order, confirm_order, orders
from workers.payments import charge_card
from workers.shipping import book_shipment


class AnyPlan(Protocol):
    """What is asked for, whichever saga."""

    @property
    def orders(self) -> tuple[PlannedSaga, ...]:
        """All sagas, in the order in which they start."""

    def one_of_each(self) -> list[PlannedSaga]:
        """The first of each fate."""


class PartnerStub(NamedTuple):
    """The simulated partner of a saga, and the variable that tells a worker where it is."""

    name: str
    module: str
    variable: str


@dataclass(frozen=True)
class DemoSaga:
    """One reference saga.

    Attributes:
        process: its process id.
        things: what people call many of it.
        steps: in the diagram's order; the first takes a saga in, the last is its good end.
        first: the service of the first step.
        services: all that take part, as they are named.
        plan: makes one: how many, seed, prefix of the keys.
        seed: fills the databases for a plan of its own.
        people: gives what people do for a saga once it runs.
        read_books, prove, draw: the books of its services, what they prove, their table.
        unfinished: which of some keys have no end yet.
        example: variables of one that goes through, for a person to type.
        awaits: what it's to be given then: a command's words, with {key} for its key.
    """

    process: str
    things: str
    steps: tuple[Step[..., Any], ...]
    first: Service
    services: tuple[str, ...]
    partner: PartnerStub
    plan: Callable[[int, int, str], AnyPlan]
    seed: Callable[[Settings, Any], None]
    people: Callable[[Settings], AbstractAsyncContextManager[Meet]]
    read_books: Callable[[Readings, Iterable[str]], Any]
    prove: Callable[[Any], list[Line]]
    draw: Callable[[Any], Table]
    unfinished: Callable[[Readings, Iterable[str]], list[str]]
    example: tuple[str, ...]
    awaits: tuple[str, ...] = ()

    @property
    def thing(self) -> str:
        """What people call one of it."""
        return self.things.removesuffix("s")


PLACE_ORDER: Final = DemoSaga(
    process="place_order",
    things="orders",
    steps=(accept_order, hold_stock, charge_card, book_shipment, confirm_order, ship_stock),
    first=orders,
    services=("orders", "inventory", "payments", "shipping"),
    partner=PartnerStub("carrier", "demo.carrier_stub", "CARRIER_URL"),
    plan=make_plan,
    seed=seed,
    people=simulated_holders,
    read_books=read_books,
    prove=prove,
    draw=draw_books,
    unfinished=unfinished,
    example=("sku=lamp", "quantity=2", "amount=39.80", "card=card-01", "address=Main Street 1"),
)

BOOK_TRIP: Final = DemoSaga(
    process="book_trip",
    things="trips",
    steps=(open_booking, hold_seat, hold_room, rent_car, charge_card, issue_tickets, book_room),
    first=flights,
    services=("flights", "hotels", "cars", "payments"),
    partner=PartnerStub("rental", "demo.rental_stub", "RENTAL_URL"),
    plan=make_trip_plan,
    seed=seed_trips,
    people=simulated_travel_people,
    read_books=read_trip_books,
    prove=TripBooks.prove,
    draw=TripBooks.draw,
    unfinished=unfinished_trips,
    example=(
        "flight=SG-101",
        'travellers=["Ada", "Grace"]',
        "hotel=Sea View",
        "car_class=van",
        "card=card-01",
        "amount=480",
    ),
    awaits=("message room_confirmed {key} --var confirmation=SV-7",),
)

SAGAS: Final = {saga.process: saga for saga in (PLACE_ORDER, BOOK_TRIP)}
