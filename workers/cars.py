"""Cars: rents a car from the rental company, another company, and gives it back if need be."""

import os
from urllib.parse import quote

from sqlmodel import Session, col, func, select

from models.cars import CarBooks, CarRented, Rental
from sagaworks import Halt, Refusal, Saga, Service
from sagaworks.partner import Partner

cars = Service("cars")


class NoCarLeft(Refusal):
    """The rental company has no car of that class."""


def rental_company_url() -> str:
    """Return where the rental company is: the environment's RENTAL_URL."""
    return os.environ.get("RENTAL_URL", "http://127.0.0.1:8291")


company = Partner("the rental company", rental_company_url, refusal=NoCarLeft)


@cars.remote_step(each="car_class")
def rent_car(saga: Saga, car_class: str) -> CarRented:
    """Have the rental company get a car of that class ready."""
    answer = company.ask("POST", "/rentals", saga, {"car_class": car_class})
    if not isinstance(answer.get("rental"), str):
        raise Halt("the rental company's answer names no rental")
    return CarRented(rental=answer["rental"], car_class=car_class)


@rent_car.record
def keep_rental(session: Session, rented: CarRented) -> None:
    """Note the car that the rental company has promised."""
    session.add(Rental(number=rented.rental, car_class=rented.car_class))


@rent_car.compensation
def return_car(saga: Saga, rented: CarRented) -> None:
    """Tell the rental company that nobody will come."""
    company.ask("DELETE", f"/rentals/{quote(rented.rental, safe='')}", saga)


@return_car.record
def drop_rental(session: Session, rented: CarRented) -> None:
    """Note that nobody will come for the car."""
    rental = session.get_one(Rental, rented.rental, with_for_update=True)
    rental.returned = True


@cars.query
def books(session: Session) -> CarBooks:
    """How many cars were rented, and how many of them given back unused."""
    rented = select(func.count()).select_from(Rental)
    returned = rented.where(col(Rental.returned))
    return CarBooks(rented=session.exec(rented).one(), returned=session.exec(returned).one())
