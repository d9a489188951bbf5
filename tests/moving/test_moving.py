"""From plain pyzeebe to Sagaworks, one service at a time, with sagas in flight, on the real engine.

The diagram is the one of `sagaworks new`; the pages show `before.py` and `after.py`.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyzeebe import ZeebeWorker
from pyzeebe.proto import gateway_pb2 as pb

from models.inventory import Stock
from sagaworks import Refusal
from sagaworks.history import Incident
from sagaworks.new import TEMPLATE
from sagaworks.testing import RunningSaga, Zeebe
from tests.moving.after import inventory
from tests.moving.before import OpenSession, inventory_router

pytestmark = pytest.mark.engine

DIAGRAM = TEMPLATE / "bpmn" / "place_order.bpmn"
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "from-pyzeebe.md"
ORDER: dict[str, Any] = {"sku": "lamp", "quantity": 2, "card": "card-1", "amount_cents": 4_000}


class CardDeclined(Refusal):
    """As the payments service says it."""


@pytest.fixture(autouse=True)
def ten_lamps(zeebe: Zeebe) -> None:
    zeebe.deploy(Path(DIAGRAM))
    with zeebe.session(inventory) as session:
        session.add(Stock(sku="lamp", available=10, received=10))


def shelf(zeebe: Zeebe) -> tuple[int, int]:
    """How many lamps are available, and how many held."""
    with zeebe.session(inventory) as session:
        stock = session.get_one(Stock, "lamp")
        return stock.available, stock.held


@contextmanager
def plain_pyzeebe(zeebe: Zeebe) -> Iterator[None]:
    """Run the worker of before."""
    ended = threading.Event()

    def open_session() -> Any:
        return zeebe.session(inventory)

    thread = threading.Thread(target=lambda: asyncio.run(serve(zeebe, open_session, ended)))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(20)


async def serve(zeebe: Zeebe, open_session: OpenSession, ended: threading.Event) -> None:
    channel = zeebe.channel()
    worker = ZeebeWorker(channel, request_timeout=1_000)
    worker.include_router(inventory_router(open_session))
    working = asyncio.create_task(worker.work())
    await asyncio.to_thread(ended.wait)
    await worker.stop()
    working.cancel()
    await channel.close()


def in_flight(zeebe: Zeebe) -> RunningSaga:
    """A saga whose stock was held by the worker of before, and whose card isn't charged yet."""
    saga = zeebe.run("place_order", key="order-42", **ORDER)
    with plain_pyzeebe(zeebe):
        saga.wait_for("charge_card")
    assert shelf(zeebe) == (8, 2)
    return saga


def set_variable(zeebe: Zeebe, incident: Incident, name: str, value: str) -> None:
    """Set a variable and retry the incident, as a person does in Operate."""
    scope, named = incident.instance, json.dumps({name: value})
    variables = pb.SetVariablesRequest(elementInstanceKey=scope, variables=named)
    retries = pb.UpdateJobRetriesRequest(jobKey=incident.job, retries=3)
    resolve = pb.ResolveIncidentRequest(incidentKey=incident.key)
    zeebe.ask(lambda gateway: gateway.stub.SetVariables(variables, timeout=10))
    zeebe.ask(lambda gateway: gateway.stub.UpdateJobRetries(retries, timeout=10))
    zeebe.ask(lambda gateway: gateway.stub.ResolveIncident(resolve, timeout=10))


def test_the_undo_of_what_the_old_worker_did_stops_with_words_for_a_person(zeebe: Zeebe) -> None:
    saga = in_flight(zeebe)
    zeebe.stub("payments.charge_card", CardDeclined("no"))
    zeebe.work(inventory)

    saga.assert_incident("no row of it in saga 'order-42'")

    (incident,) = saga.incidents
    assert incident.message in " ".join(PAGE.read_text().split())
    assert shelf(zeebe) == (8, 2)


def test_a_person_undoes_it_by_hand_and_the_saga_ends(zeebe: Zeebe) -> None:
    saga = in_flight(zeebe)
    zeebe.stub("payments.charge_card", CardDeclined("no"))
    zeebe.work(inventory)
    saga.assert_incident()

    with zeebe.session(inventory) as session:
        stock = session.get_one(Stock, "lamp")
        stock.held, stock.available = 0, 10
    (incident,) = saga.incidents
    set_variable(zeebe, incident, "saga_undone_by_hand", "hold_stock")

    zeebe.feed.wait_for(lambda: saga.outcome_so_far == "undone", 10)
    saga.assert_undone("hold_stock")
    assert shelf(zeebe) == (10, 0)


def test_a_saga_in_flight_that_goes_through_needs_nobody(zeebe: Zeebe) -> None:
    saga = in_flight(zeebe)
    zeebe.stub("payments.charge_card")
    zeebe.work(inventory)

    saga.assert_completed()


def test_a_saga_from_after_the_move_is_undone_as_ever(zeebe: Zeebe) -> None:
    zeebe.stub("payments.charge_card", CardDeclined("no"))
    zeebe.work(inventory)

    saga = zeebe.run("place_order", **ORDER)

    saga.assert_undone("hold_stock")
    assert shelf(zeebe) == (10, 0)


def test_a_saga_without_a_key_stops_at_its_first_moved_step_until_it_has_one(
    zeebe: Zeebe,
) -> None:
    """Started before the move began, by code that knew nothing of `saga_key`."""
    zeebe.stub("payments.charge_card")
    instance = zeebe.ask(lambda gateway: gateway.create("place_order", ORDER))
    zeebe.work(inventory)
    zeebe.feed.wait_for(lambda: zeebe.history.incidents(instance), 10)
    (incident,) = zeebe.history.incidents(instance)
    assert "has no variable `saga_key`" in incident.message

    set_variable(zeebe, incident, "saga_key", "order-42")

    zeebe.feed.wait_for(lambda: zeebe.history.instance(instance).ended, 10)
    assert shelf(zeebe) == (8, 2)
