"""What must be true of orders after all that has happened to their workers."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from tests.faults.killing.schedules import ORDER, PATHS
from tests.faults.oracles import judge
from tests.faults.real.evidence import UNDOES, evidence_of
from tests.faults.real.works import Works
from workers.inventory import books as stock_books
from workers.payments import books as money_books
from workers.shipping import books as parcel_books

FIRST: Final = 1
"""The number of a step's first round."""


def expected_trail(way: str) -> Counter[tuple[str, str]]:
    """Return what the four ledgers are to say of an order that went this way: (step, event)."""
    undoes = {undo.partition(".")[2]: step.partition(".")[2] for undo, step in UNDOES.items()}
    events = Counter([("place_order", "started")])
    for step, comes_to in PATHS[way].executions:
        if comes_to == "called":
            events[step, "intended"] += 1
            events[step, "refused" if way == "no-carrier" else "executed"] += 1
        elif comes_to in {"undone", "call undone"}:
            events[undoes[step], "undone"] += 1
        elif comes_to != "waits":
            events[step, "executed" if comes_to == "executed" else "refused"] += 1
    return events


def violations(works: Works, key: str) -> Iterator[str]:
    """Name what isn't as it must be with one order that has ended."""
    way, evidence = works.ways[key], evidence_of(works, key)
    for oracle, complaints in judge(evidence).items():
        for complaint in complaints:
            yield f"{oracle}: {complaint}"
    if evidence.ended != PATHS[way].end:
        yield f"way: ended at {evidence.ended or 'nothing'}, not at {PATHS[way].end}"
    told = [entry for trail in evidence.told.values() for entry in trail]
    events = Counter((entry["step"], entry["event"]) for entry in told)
    if events != expected_trail(way):
        yield f"way: {sorted(events.items())}, not {sorted(expected_trail(way).items())}"
    if any(entry["round"] > FIRST for entry in told):
        yield "way: a step took a second round"


def unbalanced(works: Works) -> Iterator[str]:
    """Add up the books of all services and of the carrier, once all orders have ended."""
    ways = Counter(works.ways.values())
    shipped, booked = ways["ships"], ways["ships"] + ways["withdrawn"]
    charged = booked + ways["no-carrier"]
    with works.stores["inventory"].session() as session:
        stock = stock_books.function(session)
    with works.stores["payments"].session() as session:
        money = money_books.function(session)
    with works.stores["shipping"].session() as session:
        parcels = parcel_books.function(session)
    units, price = ORDER["quantity"] * shipped, ORDER["amount"]
    theirs = works.carrier.books()
    compared = {
        "stock held": (stock.held, 0),
        "stock shipped": (stock.shipped, units),
        "stock conserved": (stock.available + stock.held + stock.shipped, stock.received),
        "money conserved": (
            money.on_cards + money.charged - money.refunded,
            Decimal(money.opened_with),
        ),
        "charges": ((money.charges, money.refunds), (charged, charged - shipped)),
        "money kept": (money.charged - money.refunded, price * shipped),
        "parcels here": ((parcels.booked, parcels.cancelled), (booked, booked - shipped)),
        "parcels there": ((theirs["booked"], theirs["cancelled"]), (booked, booked - shipped)),
    }
    for what, (found, expected) in compared.items():
        if found != expected:
            yield f"conserved: {what}: {found}, not {expected}"
