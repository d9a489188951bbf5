from collections.abc import Callable

import pytest
from sqlmodel import Session

from models.hotels import Hotel, RoomHeld, Stay
from sagaworks import Saga
from workers.hotels import NoRoomLeft, book_room, books, hold_room, release_room

SagaMaker = Callable[..., Saga]


@pytest.fixture(autouse=True)
def a_hotel_with_two_rooms(session: Session) -> Hotel:
    hotel = Hotel(name="Sea View", rooms=2, free=2)
    session.add(hotel)
    session.commit()
    return hotel


def hold(session: Session, travellers: int) -> RoomHeld:
    names = [f"traveller-{number}" for number in range(travellers)]
    return hold_room(session, hotel="Sea View", travellers=names)


@pytest.mark.parametrize("travellers, rooms", [(1, 1), (2, 1), (3, 2), (4, 2)])
def test_two_travellers_sleep_in_a_room(session: Session, travellers: int, rooms: int) -> None:
    assert hold(session, travellers).rooms == rooms


def test_a_full_hotel_has_no_room_left(session: Session) -> None:
    hold(session, 3)

    with pytest.raises(NoRoomLeft, match="Sea View: 0 rooms free, 1 asked for"):
        hold(session, 1)


def test_a_hotel_that_nobody_knows_has_no_room_left(session: Session) -> None:
    with pytest.raises(NoRoomLeft):
        hold_room(session, hotel="Mirage", travellers=["Ada"])


def test_released_rooms_leave_the_hotel_as_it_was(session: Session) -> None:
    release_room(session, hold(session, 3))

    hotel = session.get_one(Hotel, "Sea View")
    assert (hotel.free, hotel.held, hotel.booked) == (2, 0, 0)


def test_a_booked_room_is_kept_under_the_hotels_own_number(
    session: Session, a_saga: SagaMaker
) -> None:
    book_room(session, a_saga(), hold(session, 2), confirmation="SV-7")

    assert session.get_one(Stay, "order-42").confirmation == "SV-7"
    assert session.get_one(Hotel, "Sea View").booked == 1


def test_the_books_tell_where_all_rooms_are(session: Session, a_saga: SagaMaker) -> None:
    book_room(session, a_saga(), hold(session, 2), confirmation="SV-7")
    hold(session, 1)

    found = books(session)

    assert (found.rooms, found.free, found.held, found.booked, found.stays) == (2, 0, 1, 1, 1)


def test_empty_books_are_all_noughts(session: Session) -> None:
    session.delete(session.get_one(Hotel, "Sea View"))

    assert set(books(session).model_dump().values()) == {0}
