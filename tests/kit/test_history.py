"""What history keeps of the engine's records, told by the records of a real saga."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from sagaworks.testing import Zeebe
from tests.kit.conftest import ORDER
from workers.payments import CardDeclined

pytestmark = pytest.mark.engine


def test_history_tells_what_a_compensation_job_undoes(
    zeebe: Zeebe, stubbed: Callable[..., None]
) -> None:
    stubbed(charge_card=[CardDeclined])
    saga = zeebe.run("place_order", **ORDER).wait()

    jobs = {one.element: one for one in zeebe.history.jobs(saga.key)}
    undoing = zeebe.history.undone_by(jobs["release_stock"].element_instance)

    assert undoing
    assert (undoing.element, undoing.thrown_by) == ("hold_stock", "release_the_stock")
    assert undoing.element_instance == jobs["hold_stock"].element_instance
    assert {name: one.last for name, one in jobs.items()} == {
        "accept_order": "COMPLETED",
        "hold_stock": "COMPLETED",
        "charge_card": "ERROR_THROWN",
        "release_stock": "COMPLETED",
        "reject_order": "COMPLETED",
    }


def test_history_tells_an_instances_beginning_and_end(
    zeebe: Zeebe, stubbed: Callable[..., None]
) -> None:
    stubbed()
    saga = zeebe.run("place_order", key="o-1", **ORDER).wait()

    (instance,) = zeebe.history.instances("o-1")

    assert (instance.key, instance.process, instance.version) == (saga.key, "place_order", 1)
    assert instance.ended
    assert instance.ended >= instance.began


def test_scopes_and_flows_are_kept(zeebe: Zeebe, stubbed: Callable[..., None]) -> None:
    stubbed(charge_card=[CardDeclined])
    saga = zeebe.run("place_order", **ORDER).wait()

    elements = {one.id: one for one in zeebe.history.elements(saga.key)}

    assert elements["reject_the_order"].scope == elements["undo_order"].key
    assert elements["accept_order"].scope == saga.key
    assert elements["accept_order_to_hold_stock"].last == "SEQUENCE_FLOW_TAKEN"


def test_the_diagram_is_the_one_that_the_saga_runs_on(
    zeebe: Zeebe, stubbed: Callable[..., None]
) -> None:
    own = Path("bpmn/place_order.bpmn").read_text() + f"<!-- {uuid.uuid4()} -->\n"
    stubbed()
    zeebe.deploy(own)
    saga = zeebe.run("place_order", **ORDER).wait()

    assert zeebe.history.diagram(saga.key) == own.encode()


@pytest.mark.zeebe_engines("embedded", "broker")
@pytest.mark.parametrize("test", ["an earlier one", "a later one"])
def test_the_diagram_is_known_though_the_engine_was_given_it_in_an_earlier_test(
    zeebe: Zeebe, stubbed: Callable[..., None], test: str
) -> None:
    """An engine that lives longer than a test tells of a diagram only once."""
    stubbed()
    saga = zeebe.run("place_order", **ORDER).wait()

    assert b'id="place_order"' in (zeebe.history.diagram(saga.key) or b"")
