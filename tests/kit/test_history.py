"""What history keeps of the engine's records, told by the records of a real saga."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sagaworks.history import History, MemoryHistory
from sagaworks.testing import Zeebe
from tests.kit.conftest import ORDER
from workers.payments import CardDeclined

pytestmark = pytest.mark.engine


def record(position: int, value_type: str, intent: str, key: int, **value: object) -> dict:
    """A record as exporters write it, less what isn't read."""
    return {
        "partitionId": 1,
        "position": position,
        "timestamp": 1000 + position,
        "recordType": "EVENT",
        "valueType": value_type,
        "intent": intent,
        "key": key,
        "value": {"processInstanceKey": 1, **value},
    }


def job(position: int, intent: str, **more: object) -> dict:
    about = {"type": "shop.sell", "elementId": "sell", "elementInstanceKey": 2, "retries": 3}
    return record(position, "JOB", intent, 7, **about, **more)


def test_a_jobs_last_record_decides() -> None:
    history = MemoryHistory()

    for position, intent in enumerate(("CREATED", "ERROR_THROWN", "CANCELED")):
        history.take(job(position, intent))

    found = history.job(7)
    assert found
    assert (found.last, found.at, found.element_instance) == ("CANCELED", 1002, 2)


def test_a_repeat_is_dropped_and_changes_nothing() -> None:
    history = MemoryHistory()
    history.take(job(1, "CREATED"))
    history.take(job(2, "COMPLETED"))

    assert not history.take(job(1, "CREATED"))
    assert history.job(7).last == "COMPLETED"


def test_another_record_at_a_known_position_opens_a_new_life() -> None:
    history = MemoryHistory()
    history.take(job(1, "CREATED"))
    history.take(job(2, "COMPLETED"))

    assert history.life() == 1
    assert history.take({**job(2, "FAILED"), "timestamp": 5000})
    assert history.life() == 2
    assert history.job(7).last == "FAILED"


def test_a_wiped_engines_record_at_a_position_nobody_kept_opens_a_new_life() -> None:
    history = MemoryHistory()
    history.take(job(3, "COMPLETED"))

    history.take({**record(1, "TIMER", "CREATED", 9), "timestamp": 5000})

    assert history.life() == 2
    assert history.job(7) is None


def test_a_kind_that_is_sent_only_now_is_no_new_life() -> None:
    history = MemoryHistory()
    history.take(job(3, "COMPLETED"))

    assert not history.take(record(1, "TIMER", "CREATED", 9))
    assert history.life() == 1


def test_what_came_before_the_copy_holds_in_the_new_life() -> None:
    history = MemoryHistory()
    history.take(job(1, "CREATED"))
    history.take({**job(2, "CREATED"), "key": 8})
    history.take(job(3, "COMPLETED"))

    history.take({**job(3, "CREATED"), "key": 9, "timestamp": 5000})

    assert history.life() == 2
    assert [one.key for one in history.jobs(1)] == [7, 8, 9]
    assert history.job(7).last == "CREATED"


def test_positions_are_each_partitions_own() -> None:
    history = MemoryHistory()
    history.take(job(9, "CREATED"))

    assert history.take({**job(3, "CREATED"), "partitionId": 2})


def test_a_missing_record_is_none() -> None:
    history: History = MemoryHistory()

    assert history.job(1) is None
    assert history.instance(1) is None
    assert history.undone_by(1) is None
    assert [*history.instances("o-1"), *history.jobs(1), *history.elements(1)] == []


def test_a_command_is_no_event() -> None:
    history = MemoryHistory()

    assert history.take({**job(1, "COMPLETE"), "recordType": "COMMAND"})
    assert history.job(7) is None


def test_a_back_off_says_when_the_job_comes_again() -> None:
    history = MemoryHistory()
    history.take(job(1, "FAILED", retryBackoff=500, recurringTime=1501, errorMessage="busy"))

    found = history.job(7)
    assert (found.recurs, found.error_message) == (1501, "busy")


def test_the_business_key_is_the_sagas_own_and_of_no_inner_scope() -> None:
    history = MemoryHistory()
    process = {"bpmnProcessId": "p", "version": 1, "processDefinitionKey": 5, "elementId": "p"}
    about = {**process, "bpmnElementType": "PROCESS", "flowScopeKey": -1}
    history.take(record(1, "VARIABLE", "CREATED", 3, name="saga_key", value='"o-1"', scopeKey=1))
    history.take(record(2, "VARIABLE", "CREATED", 4, name="saga_key", value='"o-2"', scopeKey=9))
    history.take(record(3, "PROCESS_INSTANCE", "ELEMENT_ACTIVATING", 1, **about))

    assert [one.business_key for one in history.instances("o-1")] == ["o-1"]
    assert history.instances("o-2") == []


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
    stubbed()
    saga = zeebe.run("place_order", **ORDER).wait()

    assert zeebe.history.diagram(saga.key) == Path("bpmn/place_order.bpmn").read_bytes()
    assert zeebe.history.diagram(1) is None
