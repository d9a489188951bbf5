"""Each step is a function: its test needs a session, and no engine."""

from collections.abc import Iterator

import pytest
from sqlmodel import Session, SQLModel, create_engine

from models.inventory import Stock
from workers.inventory import OutOfStock, available, hold_stock, release_stock


@pytest.fixture
def session() -> Iterator[Session]:
    """A database in memory with three lamps on the shelf."""
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Stock(sku="lamp", available=3))
        session.commit()
        yield session
    engine.dispose()


def test_held_units_are_no_longer_available(session: Session) -> None:
    hold_stock(session, sku="lamp", quantity=2)

    assert available(session, sku="lamp") == 1


def test_a_released_hold_leaves_the_shelf_as_it_was(session: Session) -> None:
    release_stock(session, hold_stock(session, sku="lamp", quantity=2))

    assert available(session, sku="lamp") == 3


def test_more_than_the_shelf_holds_is_refused(session: Session) -> None:
    with pytest.raises(OutOfStock, match="lamp: 3 available, 4 asked for"):
        hold_stock(session, sku="lamp", quantity=4)
