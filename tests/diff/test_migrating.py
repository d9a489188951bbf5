"""The real engine migrates by our plan, and what was done before is undone after it.

It also shows why the plan is as it is: what happens without it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
import pytest
from pyzeebe.proto import gateway_pb2 as zeebe_api
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from sagaworks.diff import compare
from sagaworks.testing import Zeebe

ROOT = Path(__file__).parents[2]
LOCK_MS = 60_000
ASK_MS = 1_500

Versions = Callable[..., Path]


class Engine:
    """The gateway's plain calls, for a saga without workers."""

    def __init__(self, address: str) -> None:
        self.stub = GatewayStub(grpc.insecure_channel(address))

    def deploy(self, diagram: Path) -> int:
        resource = zeebe_api.Resource(name=diagram.name, content=diagram.read_bytes())
        request = zeebe_api.DeployResourceRequest(resources=[resource])
        answer = self.stub.DeployResource(request)
        return answer.deployments[0].process.processDefinitionKey

    def start(self, process: str) -> int:
        request = zeebe_api.CreateProcessInstanceRequest(
            bpmnProcessId=process, version=-1, variables='{"saga_key": "one"}'
        )
        return self.stub.CreateProcessInstance(request).processInstanceKey

    def jobs(self, job_type: str, most: int = 5) -> list[int]:
        request = zeebe_api.ActivateJobsRequest(
            type=job_type,
            worker="test",
            timeout=LOCK_MS,
            maxJobsToActivate=most,
            requestTimeout=ASK_MS,
        )
        return [job.key for answer in self.stub.ActivateJobs(request) for job in answer.jobs]

    def complete(self, job: int) -> None:
        self.stub.CompleteJob(zeebe_api.CompleteJobRequest(jobKey=job, variables="{}"))

    def refuse(self, job: int) -> None:
        self.stub.ThrowError(zeebe_api.ThrowErrorRequest(jobKey=job, errorCode="NO"))

    def migrate(self, instance: int, target: int, mapping: Mapping[str, str]) -> None:
        of = zeebe_api.MigrateProcessInstanceRequest
        plan = of.MigrationPlan(
            targetProcessDefinitionKey=target,
            mappingInstructions=[
                of.MappingInstruction(sourceElementId=old, targetElementId=new)
                for old, new in mapping.items()
            ],
        )
        self.stub.MigrateProcessInstance(of(processInstanceKey=instance, migrationPlan=plan))


@pytest.fixture
def engine(zeebe: Zeebe) -> Engine:
    return Engine(zeebe.address)


def held(engine: Engine, old: Path) -> tuple[int, int]:
    """Bring a saga to its second step; return it and that step's job."""
    engine.deploy(old)
    saga = engine.start("buy")
    (job,) = engine.jobs("shop.hold")
    engine.complete(job)
    (second,) = engine.jobs("shop.charge")
    return saga, second


@pytest.mark.parametrize(
    "differs",
    [
        {"steps": ("hold", "charge", "ship")},
        {"event": "undo_hold"},
        {"scope": "undo_the_order"},
    ],
    ids=["a step more", "compensation event renamed", "event sub-process renamed"],
)
def test_what_was_done_is_undone_after_a_migration_by_the_plan(
    engine: Engine, version: Versions, differs: dict
) -> None:
    old, new = version("old"), version("new", **differs)
    comparison = compare(old, new, engine_version(engine))
    assert [place.element for place in comparison.places if not place.why_not][-1] == "charge"
    saga, second = held(engine, old)

    engine.migrate(saga, engine.deploy(new), comparison.mapping)
    engine.refuse(second)

    assert len(engine.jobs("shop.release")) == 1


def test_the_new_versions_compensation_undoes_it(engine: Engine, version: Versions) -> None:
    old, new = version("old"), version("new", ('"shop.release"', '"shop.give_back"'))
    saga, second = held(engine, old)

    engine.migrate(saga, engine.deploy(new), compare(old, new).mapping)
    engine.refuse(second)

    assert len(engine.jobs("shop.give_back")) == 1


def test_a_plan_without_the_compensation_event_loses_the_undo_from_8_8_on(
    engine: Engine, version: Versions, zeebe: Zeebe
) -> None:
    """Why a plan of ours names it, although nothing waits there."""
    old, new = version("old"), version("new", steps=("hold", "charge", "ship"))
    saga, second = held(engine, old)

    engine.migrate(saga, engine.deploy(new), {"charge": "charge"})
    engine.refuse(second)

    undone = 1 if engine_version(engine) < (8, 8) else 0
    assert len(engine.jobs("shop.release")) == undone


def engine_version(engine: Engine) -> tuple[int, int]:
    major, minor, *_ = engine.stub.Topology(zeebe_api.TopologyRequest()).gatewayVersion.split(".")
    return int(major), int(minor)


@pytest.mark.parametrize("name", ["place_order", "book_trip"])
def test_the_engine_agrees_with_what_is_said_of_a_place(
    engine: Engine, tmp_path: Path, name: str
) -> None:
    """With the whole plan of a reference saga, its messages and timers included."""
    old = ROOT / "bpmn" / f"{name}.bpmn"
    new = tmp_path / old.name
    new.write_text(old.read_text().replace('retries="5"', 'retries="6"', 1))
    engine.deploy(old)
    saga, target = engine.start(name), engine.deploy(new)
    comparison = compare(old, new, engine_version(engine))
    first = comparison.places[0]

    def migrate() -> None:
        engine.migrate(saga, target, comparison.mapping)

    if not first.why_not:
        migrate()
    else:
        with pytest.raises(grpc.RpcError, match=r"boundary events of types 'COMPENSATION'"):
            migrate()
