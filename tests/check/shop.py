"""The services of a small shop; each test takes the steps that its diagram draws."""

import re
from collections.abc import Sequence

from sqlmodel import Session, SQLModel

from sagaworks import Refusal, Service


class StockHeld(SQLModel):
    sku: str
    quantity: int


class CardCharged(SQLModel):
    amount: int


class HeldView(SQLModel):
    """What another team reads of `StockHeld`, wrongly."""

    quantity: str


class CardDeclined(Refusal):
    """The card doesn't cover the amount."""


class Lost(Refusal):
    """The parcel is lost."""


stock, payments, shipping, orders = map(Service, ("stock", "payments", "shipping", "orders"))


@stock.step
def hold_stock(session: Session, sku: str, quantity: int) -> StockHeld:
    return StockHeld(sku=sku, quantity=quantity)


@hold_stock.compensation
def release_stock(session: Session, held: StockHeld) -> None:
    pass


@stock.step(each="line")
def hold_line(session: Session, line: int) -> None:
    pass


@hold_line.compensation
def release_line(session: Session) -> None:
    pass


@stock.step(kind="retriable")
def ship_stock(session: Session, stock_held: StockHeld) -> None:
    pass


@stock.step(kind="read_only")
def count_stock(session: Session, sku: str) -> None:
    pass


@payments.step
def charge_card(session: Session, amount: int) -> CardCharged:
    raise CardDeclined


@charge_card.compensation
def refund_card(session: Session, charged: CardCharged) -> None:
    pass


@payments.step
def reserve_amount(session: Session, amount: str) -> None:
    pass


@reserve_amount.compensation
def free_amount(session: Session) -> None:
    _ = CardDeclined


@shipping.step(kind="retriable")
def send_parcel(session: Session) -> None:
    find_parcel()


def find_parcel() -> None:
    raise Lost


@shipping.step(kind="retriable")
def pack_parcel(session: Session, stock_held: HeldView) -> None:
    pass


@shipping.step(kind="retriable")
def label_parcel(session: Session) -> None:
    pass


@orders.step(kind="pivot")
def confirm_order(session: Session) -> None:
    pass


SERVICES = (stock, payments, shipping, orders)
UNDRAWN = "stock.count_stock"
"""The step that a diagram of the rule about steps without a task leaves out."""


def services_of(diagram: str, *more: str) -> Sequence[Service]:
    """Return the services with the steps whose jobs, or whose undo's, the diagram has."""
    drawn = {*re.findall(r'type="(\w+\.\w+)"', diagram), *more}
    return [_part(one, drawn) for one in SERVICES]


def _part(service: Service, drawn: set[str]) -> Service:
    part = Service(service.name)
    for name, step in service.steps.items():
        if step.job_type in drawn or (step.undo is not None and step.undo.job_type in drawn):
            part.steps[name] = step
            if step.undo is not None:
                part.compensations[step.undo.name] = step.undo
    return part
