"""Hotels: their rooms, and the stays booked in them."""

from sqlmodel import Field, SQLModel


class Hotel(SQLModel, table=True):
    """The rooms of one hotel; `rooms` is always the sum of the three others."""

    name: str = Field(primary_key=True, max_length=64)
    rooms: int
    free: int
    held: int = 0
    booked: int = 0


class Stay(SQLModel, table=True):
    """The rooms booked for one trip, under the hotel's own number."""

    key: str = Field(primary_key=True, max_length=200)
    hotel: str = Field(max_length=64)
    rooms: int
    confirmation: str = Field(max_length=64)


class RoomHeld(SQLModel):
    """Rooms are set aside for a trip."""

    hotel: str
    rooms: int


class RoomBooked(SQLModel):
    """The held rooms are the travellers'."""

    hotel: str
    rooms: int


class HotelBooks(SQLModel):
    """Where the rooms are, and how many stays they were booked for."""

    rooms: int
    free: int
    held: int
    booked: int
    stays: int
