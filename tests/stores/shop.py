"""The service that the contracts are tried with: shelves, and a carrier who remembers keys."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, func, select

from sagaworks import Refusal, Saga, Service


class Table(SQLModel, registry=registry()):
    """Tables of these tests only, apart from the reference services' own."""


class Shelf(Table, table=True):
    sku: str = Field(primary_key=True, max_length=64)
    available: int


class Parcel(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    line: str = Field(max_length=64)


class StockHeld(SQLModel):
    sku: str
    quantity: int


class LinePacked(SQLModel):
    line: str
    parcel: int


class ShipmentBooked(SQLModel):
    number: str


class OutOfStock(Refusal):
    """The shelf holds too few."""


class NoCarrier(Refusal):
    """Nobody drives there."""


class NotSorry(Refusal):
    """A compensation that says no."""


shop = Service("shop")


@shop.step
def hold_stock(session: Session, sku: str, quantity: int) -> StockHeld:
    shelf = session.get_one(Shelf, sku, with_for_update=True)
    if shelf.available < quantity:
        raise OutOfStock(f"{sku}: {shelf.available} available, {quantity} asked for")
    shelf.available -= quantity
    return StockHeld(sku=sku, quantity=quantity)


@hold_stock.compensation
def release_stock(session: Session, held: StockHeld) -> None:
    session.get_one(Shelf, held.sku, with_for_update=True).available += held.quantity


@shop.step(each="line")
def pack_line(session: Session, line: str) -> LinePacked:
    parcel = Parcel(line=line)
    session.add(parcel)
    session.flush()
    return LinePacked(line=line, parcel=parcel.id or 0)


@pack_line.compensation
def unpack_line(session: Session, packed: LinePacked) -> None:
    session.delete(session.get_one(Parcel, packed.parcel))


@shop.step(kind="retriable")
def ship_stock(session: Session, sku: str) -> None:
    raise OutOfStock(sku)


@shop.step(kind="read_only")
def count_stock(session: Session, sku: str) -> StockHeld:
    return StockHeld(sku=sku, quantity=session.get_one(Shelf, sku).available)


@dataclass
class Carrier:
    """The partner outside: does what it's asked once for each key, and remembers its answer.

    Attributes:
        calls: every call's key, in order.
        booked: shipment numbers by key.
        cancelled: the numbers cancelled, by the key of the cancellation.
        before: runs when a call arrives, with the key; raises to be unreachable, or to refuse.
        after: runs when the call has had its effect and its answer is on its way.
    """

    calls: list[str] = field(default_factory=list)
    booked: dict[str, str] = field(default_factory=dict)
    cancelled: dict[str, str] = field(default_factory=dict)
    before: Callable[[str], None] = lambda _key: None
    after: Callable[[str], None] = lambda _key: None

    @property
    def standing(self) -> set[str]:
        """The numbers booked and not cancelled."""
        return {*self.booked.values()} - {*self.cancelled.values()}

    def book(self, key: str) -> str:
        self.calls.append(key)
        self.before(key)
        number = self.booked.setdefault(key, f"shipment-{len(self.booked) + 1}")
        self.after(key)
        return number

    def cancel(self, key: str, number: str) -> None:
        self.calls.append(key)
        self.before(key)
        self.cancelled.setdefault(key, number)
        self.after(key)


carrier = Carrier()
"""What the steps below call; each test's world begins with a fresh one, see `fresh_carrier`."""


def fresh_carrier() -> Carrier:
    carrier.__init__()  # type: ignore[misc]  # the steps keep the object
    return carrier


@shop.remote_step
def book_shipment(saga: Saga, address: str) -> ShipmentBooked:
    return ShipmentBooked(number=carrier.book(saga.idempotency_key))


@book_shipment.record
def keep_shipment(session: Session, booked: ShipmentBooked) -> None:
    session.add(Parcel(line=booked.number))


@book_shipment.compensation
def cancel_shipment(saga: Saga, booked: ShipmentBooked) -> None:
    carrier.cancel(saga.idempotency_key, booked.number)


@cancel_shipment.record
def drop_shipment(session: Session, booked: ShipmentBooked) -> None:
    session.delete(session.exec(select(Parcel).where(Parcel.line == booked.number)).one())


@shop.remote_step(each="line")
def book_line(saga: Saga, line: str) -> ShipmentBooked:
    return ShipmentBooked(number=carrier.book(saga.idempotency_key))


@book_line.compensation
def cancel_line(saga: Saga, booked: ShipmentBooked) -> None:
    carrier.cancel(saga.idempotency_key, booked.number)


def available(session: Session, sku: str = "lamp") -> int:
    return session.get_one(Shelf, sku).available


def parcels(session: Session) -> int:
    return session.exec(select(func.count()).select_from(Parcel)).one()
