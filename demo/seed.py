"""What the services own before the first order: filled shelves and opened cards."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from demo.errors import DemoError
from demo.plan import Plan
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
    cards = [
        Card(
            number=card.number,
            balance=card.balance,
            opened_with=card.balance,
            needs_approval=card.needs_approval,
        )
        for card in plan.cards
    ]
    _add_all(settings, "payments", cards)


def approve(settings: Settings, card: str) -> None:
    """Let the card's holder approve, as they would in their bank's app.

    Raises:
        DemoError: the database can't be written.
    """
    with _session(settings, "payments") as session:
        session.get_one(Card, card, with_for_update=True).approved = True


def _add_all(settings: Settings, service: str, rows: list[Stock] | list[Card]) -> None:
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
