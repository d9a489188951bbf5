import pytest
from sqlmodel import Session

from models.inventory import Stock
from workers.inventory import OutOfStock, books, hold_stock, release_stock, ship_stock


@pytest.fixture(autouse=True)
def three_lamps(session: Session) -> None:
    session.add(Stock(sku="lamp", available=3, received=3))
    session.commit()


def totals(session: Session) -> tuple[int, int, int, int]:
    found = books(session)
    return found.available, found.held, found.shipped, found.received


def test_held_units_are_no_longer_available(session: Session) -> None:
    hold_stock(session, sku="lamp", quantity=2)

    assert totals(session) == (1, 2, 0, 3)


def test_a_released_hold_leaves_the_shelf_as_it_was(session: Session) -> None:
    release_stock(session, hold_stock(session, sku="lamp", quantity=2))

    assert totals(session) == (3, 0, 0, 3)


def test_the_last_unit_can_be_held(session: Session) -> None:
    hold_stock(session, sku="lamp", quantity=3)

    assert totals(session) == (0, 3, 0, 3)


def test_more_than_the_shelf_holds_is_refused(session: Session) -> None:
    with pytest.raises(OutOfStock, match="lamp: 3 available, 4 asked for"):
        hold_stock(session, sku="lamp", quantity=4)

    assert totals(session) == (3, 0, 0, 3)


def test_an_unknown_article_is_out_of_stock(session: Session) -> None:
    with pytest.raises(OutOfStock, match="unicorn: 0 available"):
        hold_stock(session, sku="unicorn", quantity=1)


def test_shipped_units_have_left_the_house(session: Session) -> None:
    ship_stock(session, hold_stock(session, sku="lamp", quantity=2))

    assert totals(session) == (1, 0, 2, 3)


def test_the_books_of_an_empty_house_are_noughts(session: Session) -> None:
    session.delete(session.get_one(Stock, "lamp"))

    assert totals(session) == (0, 0, 0, 0)
