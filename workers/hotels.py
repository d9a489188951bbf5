"""Hotels: holds rooms for a trip until the hotel confirms them, and books them at the end."""

from sqlmodel import Session, func, select

from models.hotels import Hotel, HotelBooks, RoomBooked, RoomHeld, Stay
from sagaworks import Refusal, Saga, Service

hotels = Service("hotels")

SLEEP_IN_A_ROOM = 2
"""Travellers for whom one room is enough."""


class NoRoomLeft(Refusal):
    """The hotel is full, or there is none of this name."""


@hotels.step
def hold_room(session: Session, hotel: str, travellers: list[str]) -> RoomHeld:
    """Set rooms aside, one for each two travellers."""
    rooms = -(-len(travellers) // SLEEP_IN_A_ROOM)
    found = session.get(Hotel, hotel, with_for_update=True)
    if found is None or found.free < rooms:
        free = found.free if found else 0
        raise NoRoomLeft(f"{hotel}: {free} rooms free, {rooms} asked for")
    found.free -= rooms
    found.held += rooms
    return RoomHeld(hotel=hotel, rooms=rooms)


@hold_room.compensation
def release_room(session: Session, held: RoomHeld) -> None:
    """Give the rooms to others."""
    hotel = session.get_one(Hotel, held.hotel, with_for_update=True)
    hotel.held -= held.rooms
    hotel.free += held.rooms


@hotels.step(kind="retriable")
def book_room(session: Session, saga: Saga, room_held: RoomHeld, confirmation: str) -> RoomBooked:
    """Make the held rooms the travellers', under the number that the hotel confirmed."""
    hotel = session.get_one(Hotel, room_held.hotel, with_for_update=True)
    hotel.held -= room_held.rooms
    hotel.booked += room_held.rooms
    session.add(
        Stay(
            key=saga.business_key,
            hotel=hotel.name,
            rooms=room_held.rooms,
            confirmation=confirmation,
        )
    )
    return RoomBooked(hotel=hotel.name, rooms=room_held.rooms)


@hotels.query
def books(session: Session) -> HotelBooks:
    """Where the rooms are, and how many stays they were booked for."""
    places = (func.sum(Hotel.rooms), func.sum(Hotel.free), func.sum(Hotel.held))
    rooms, free, held, booked = session.exec(select(*places, func.sum(Hotel.booked))).one()
    return HotelBooks(
        rooms=rooms or 0,
        free=free or 0,
        held=held or 0,
        booked=booked or 0,
        stays=session.exec(select(func.count()).select_from(Stay)).one(),
    )
