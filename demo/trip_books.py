"""The books after the last trip: what each service says it has, and whether it all adds up."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich import box
from rich.table import Table

from demo.books import Line, money_adds_up
from demo.readings import Readings
from models.cars import CarBooks
from models.flights import BookingStatus, FlightBooks
from models.hotels import HotelBooks
from models.payments import PaymentBooks


@dataclass(frozen=True)
class TripBooks:
    """The totals of the four services and of the rental company.

    Attributes:
        placed: sagas started.
        turned_away: of these, the ones that were refused before they were taken in.
        lost: keys of trips that nobody knows anything of.
    """

    placed: int
    turned_away: int
    lost: tuple[str, ...]
    flights: FlightBooks
    hotels: HotelBooks
    cars: CarBooks
    payments: PaymentBooks
    company: dict[str, int]

    def prove(self) -> list[Line]:
        """Check that nothing was lost, done twice or left half done."""
        return [*_ends(self), *_seats(self.flights), *_rooms(self), *_money(self), *_cars(self)]

    def draw(self) -> Table:
        """Return the books as a table."""
        table = Table(box=box.SIMPLE_HEAD, title="The books", title_justify="left", pad_edge=False)
        table.add_column("service")
        table.add_column("what it says")
        seats, rooms, money, company = self.flights, self.hotels, self.payments, self.company
        table.add_row(
            "flights",
            f"{seats.ticketed} ticketed, {seats.closed} closed, {seats.open} open, "
            f"{self.turned_away} turned away; seats: {seats.free} free, {seats.held} held, "
            f"{seats.sold} sold",
        )
        table.add_row("hotels", f"{rooms.free} free, {rooms.held} held, {rooms.booked} booked")
        table.add_row("cars", f"{self.cars.rented} rented, {self.cars.returned} returned")
        table.add_row(
            "payments",
            f"{money.charges} charges of {money.charged}, "
            f"{money.refunds} refunds of {money.refunded}",
        )
        table.add_row(
            "rental company (simulated)",
            f"{company['booked']} rented, {company['cancelled']} returned, "
            f"{company['busy']} calls answered 503, {company['repeated']} came twice",
        )
        return table


def read_trip_books(readings: Readings, keys: Iterable[str]) -> TripBooks:
    """Ask everyone; `keys` are the trips that were asked for."""
    placed = list(keys)
    known = {state["booking"] for state in readings.query("flights", "list_bookings")}
    unknown = [key for key in placed if key not in known]
    away = {key for key in unknown if _was_turned_away(readings, key)}
    return TripBooks(
        placed=len(placed),
        turned_away=len(away),
        lost=tuple(key for key in unknown if key not in away),
        flights=FlightBooks.model_validate(readings.query("flights", "books")),
        hotels=HotelBooks.model_validate(readings.query("hotels", "books")),
        cars=CarBooks.model_validate(readings.query("cars", "books")),
        payments=PaymentBooks.model_validate(readings.query("payments", "books")),
        company=readings.rental_company(),
    )


def unfinished_trips(readings: Readings, keys: Iterable[str]) -> list[str]:
    """Return the trips that have no end yet, as the flights service sees it."""
    states = readings.query("flights", "list_bookings")
    status = {state["booking"]: state["status"] for state in states}
    return [
        key
        for key in keys
        if status.get(key) == BookingStatus.OPEN
        or (key not in status and not _was_turned_away(readings, key))
    ]


def _was_turned_away(readings: Readings, key: str) -> bool:
    return any(entry["event"] == "refused" for entry in readings.ledger("flights", key))


def _ends(books: TripBooks) -> Iterator[Line]:
    flights, away = books.flights, books.turned_away
    yield Line(
        books.placed == flights.ticketed + flights.closed + away and not flights.open,
        f"every trip has one end: {books.placed} asked for = {flights.ticketed} ticketed "
        f"+ {flights.closed} closed + {away} turned away",
    )
    if books.lost:
        yield Line(
            holds=False, text=f"nobody knows {len(books.lost)}, such as {', '.join(books.lost[:3])}"
        )


def _seats(seats: FlightBooks) -> Iterator[Line]:
    yield Line(
        seats.seats == seats.free + seats.held + seats.sold,
        f"seats add up: {seats.seats} = {seats.free} free + {seats.held} held + {seats.sold} sold",
    )
    yield Line(
        not seats.held and seats.sold == seats.travellers_ticketed,
        f"each traveller who was promised a trip has one seat: {seats.travellers_ticketed} "
        f"travellers, {seats.sold} seats sold, {seats.held} still held",
    )


def _rooms(books: TripBooks) -> Iterator[Line]:
    rooms = books.hotels
    yield Line(
        rooms.rooms == rooms.free + rooms.held + rooms.booked,
        f"rooms add up: {rooms.rooms} = {rooms.free} free + {rooms.held} held "
        f"+ {rooms.booked} booked",
    )
    yield Line(
        not rooms.held and rooms.stays == books.flights.ticketed,
        f"one stay for each ticketed trip: {books.flights.ticketed} ticketed, {rooms.stays} stays, "
        f"{rooms.held} rooms still held",
    )


def _money(books: TripBooks) -> Iterator[Line]:
    money, kept = books.payments, books.payments.charged - books.payments.refunded
    yield money_adds_up(money)
    yield Line(
        kept == books.flights.money_ticketed,
        f"who was promised a trip has paid, nobody else: {books.flights.money_ticketed} promised, "
        f"{kept} kept",
    )


def _cars(books: TripBooks) -> Iterator[Line]:
    ours, theirs = books.cars, books.company
    yield Line(
        (ours.rented, ours.returned) == (theirs["booked"], theirs["cancelled"]),
        f"we and the rental company agree: {ours.rented} rented and {ours.returned} returned here, "
        f"{theirs['booked']} and {theirs['cancelled']} there",
    )
    yield Line(
        theirs["booked"] - theirs["cancelled"] == books.flights.ticketed,
        f"one car for each ticketed trip: {books.flights.ticketed} ticketed, "
        f"{theirs['booked']} rented - {theirs['cancelled']} returned",
    )
