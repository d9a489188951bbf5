"""What is left of an order, read from the four services, the carrier and the engine's records."""

from collections import Counter
from typing import Final

from sagaworks.saga import SagaKey
from tests.faults.oracles import Account, Effects, Evidence
from tests.faults.place_order import STEPS, OrderBooks, told_of
from tests.faults.real.records import Job
from tests.faults.real.works import Works

UNDOES: Final = {
    "orders.reject_order": "orders.accept_order",
    "inventory.release_stock": "inventory.hold_stock",
    "payments.refund_card": "payments.charge_card",
    "shipping.cancel_shipment": "shipping.book_shipment",
}

COMPLETED: Final = "ELEMENT_COMPLETED"
SHIPPED: Final = "order_shipped"
WAITS_FOR_ITS_HOLDER: Final = "overdue"


def evidence_of(works: Works, key: str) -> Evidence:
    """Return what is left of one order."""
    order, instance = works.orders[key], works.placed[key].process_instance
    jobs = works.records.of(instance)
    ended = works.records.ends.get(instance)
    event = works.records.at_end.get(instance, "")
    is_done = event == SHIPPED
    books = OrderBooks(
        works.stores,
        works.carrier,
        key,
        sku=order["sku"],
        quantity=order["quantity"],
        card=order["card"],
    )
    own = key in works.own
    return Evidence(
        saga_key=key,
        ended=event if ended == COMPLETED else "",
        is_done=is_done,
        steps=STEPS,
        told=told_of(works.stores, key),
        effects=_effects(books, own=own),
        accounts=_accounts(books, is_done=is_done) if own else (),
        undos=Counter(UNDOES[job.type] for job in jobs if job.type in UNDOES and _done(job)),
        accepted={job.key for job in jobs if _done(job) or job.had("ERROR_THROWN")},
        incidents=_incidents(works, instance),
        retries_used={job.type: job.burnt for job in jobs if not _asked_for(works.ways[key], job)},
    )


def _effects(books: OrderBooks, *, own: bool) -> dict[str, Effects]:
    """Leave out what can't be told of one order where others take the same article."""
    return {s: e for s, e in books.effects().items() if own or not s.startswith("inventory.")}


def _accounts(books: OrderBooks, *, is_done: bool) -> list[Account]:
    return books.accounts(is_done=is_done)


def _done(job: Job) -> bool:
    return bool(job.had("COMPLETED"))


def _asked_for(way: str, job: Job) -> bool:
    """Only waiting for a card's holder uses up retries, and says so."""
    return way == WAITS_FOR_ITS_HOLDER and job.type == "payments.charge_card"


def _incidents(works: Works, instance: SagaKey) -> list[str]:
    found = works.records.incidents
    return [one["errorMessage"] for one in found if one["processInstanceKey"] == instance]
