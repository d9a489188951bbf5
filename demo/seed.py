"""What the services own before the first saga: shelves, cards, seats and rooms."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, SQLModel

from demo.errors import DemoError
from demo.plan import Plan, PlannedCard
from demo.trips import TripPlan
from models.flights import Flight
from models.hotels import Hotel
from models.inventory import Stock
from models.payments import Card
from sagaworks.ledger.store import Store
from sagaworks.settings import Settings


def seed(settings: Settings, plan: Plan) -> None:
    """Fill the shelves and open the cards, each in its own service's database.

    Raises:
        DemoError: a database can't be written.
    """
    stock = [Stock(sku=sku, available=units, received=units) for sku, units in plan.stock.items()]
    _add_all(settings, "inventory", stock)
    _add_all(settings, "payments", map(_card, plan.cards))


def seed_trips(settings: Settings, plan: TripPlan) -> None:
    """Free the seats and rooms and open the cards, each in its own service's database.

    Raises:
        DemoError: a database can't be written.
    """
    seats = [Flight(number=number, seats=n, free=n) for number, n in plan.seats.items()]
    _add_all(settings, "flights", seats)
    rooms = [Hotel(name=name, rooms=n, free=n) for name, n in plan.rooms.items()]
    _add_all(settings, "hotels", rooms)
    _add_all(settings, "payments", map(_card, plan.cards))


def approve(settings: Settings, card: str) -> None:
    """Let the card's holder approve, as they would in their bank's app.

    Raises:
        DemoError: the database can't be written.
    """
    with _session(settings, "payments") as session:
        session.get_one(Card, card, with_for_update=True).approved = True


def _card(planned: PlannedCard) -> Card:
    return Card(
        number=planned.number,
        balance=planned.balance,
        opened_with=planned.balance,
        needs_approval=planned.needs_approval,
    )


def _add_all(settings: Settings, service: str, rows: Iterable[SQLModel]) -> None:
    with _session(settings, service) as session:
        session.add_all(rows)


@contextmanager
def _session(settings: Settings, service: str) -> Iterator[Session]:
    store = Store(settings.database_url(service), pool_size=1)
    try:
        with store.session() as session:
            yield session
    except DBAPIError as error:
        raise DemoError(f"{store.name}: {error.orig}") from error
    finally:
        store.close()
