"""Cars: what the rental company has promised to have ready."""

from sqlmodel import Field, SQLModel


class Rental(SQLModel, table=True):
    """A car under the rental company's number."""

    number: str = Field(primary_key=True, max_length=64)
    car_class: str = Field(max_length=32)
    returned: bool = False


class CarRented(SQLModel):
    """The rental company has the car ready."""

    rental: str
    car_class: str


class CarBooks(SQLModel):
    """How many cars were rented, and how many of them given back unused."""

    rented: int
    returned: int
