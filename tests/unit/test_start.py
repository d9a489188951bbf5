"""Starting a saga: one for each business key, however often and by however many it's asked for."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import pytest
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub
from sqlalchemy import select

import sagaworks
from sagaworks import ConfigurationError, ContractError, EngineError, SagaworksError
from sagaworks.codec import UnencodableError
from sagaworks.ledger.answers import Outcome
from sagaworks.ledger.tables import saga as saga_table
from sagaworks.runtime.gateway import EngineUnreachableError
from sagaworks.saga import SagaKey
from sagaworks.settings import Settings
from sagaworks.start import OtherVariablesError, Started, Starter, start_saga
from sagaworks.testing import Fail, Hold, LoseReply, ScriptedGateway
from sagaworks.testing.gateway import Act, Refused
from tests.stores.shop import hold_stock, shop
from tests.stores.world import World, migrate

pytestmark = pytest.mark.anyio

CREATE = "CreateProcessInstance"
LAMP = {"sku": "lamp", "quantity": 2, "amount": Decimal("19.90")}
BPMN = b"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL">
<process id="place_order"/><process id="return_order"/></definitions>"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("start") / "empty.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def world(empty_database: Path, tmp_path: Path) -> Iterator[World]:
    """The worker of the first step's service."""
    world = World(f"sqlite:///{shutil.copy(empty_database, tmp_path / 'shop.db')}")
    yield world
    world.close()


@dataclass
class Place:
    """An engine with two processes, the service's database, and starters that share both."""

    gateway: ScriptedGateway
    world: World
    settings: Settings
    stack: AsyncExitStack

    async def starter(self) -> Starter:
        return await self.stack.enter_async_context(Starter(shop, self.settings))

    @property
    def creations(self) -> int:
        return sum(call.method == CREATE for call in self.gateway.calls)

    @property
    def rows(self) -> list[tuple[int | None, str]]:
        """The instance and the digest of each saga row."""
        columns = (saga_table.c.process_instance, saga_table.c.start_digest)
        with self.world.store.reading() as connection:
            return [(row[0], row[1]) for row in connection.execute(select(*columns))]

    def first_step_of(self, instance: int, *, job: int = 1) -> Outcome:
        """Deliver the first step's job of an instance, with the variables it was created with."""
        given = json.loads(self.gateway.instances[instance].variables)
        key = given.pop("saga_key")
        answer = self.world.deliver(hold_stock, given, saga=key, instance=instance, job=job)
        return answer.outcome


@pytest.fixture
async def place(world: World, tmp_path: Path) -> AsyncIterator[Place]:
    world.stock(count=100)
    async with ScriptedGateway() as gateway, AsyncExitStack() as stack:
        settings = Settings(
            data=tmp_path, zeebe_address=gateway.address, database_urls={"shop": world.url}
        )
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            resource = pb.Resource(name="orders.bpmn", content=BPMN)
            await GatewayStub(channel).DeployResource(
                pb.DeployResourceRequest(resources=[resource])
            )
        yield Place(gateway, world, settings, stack)


@pytest.fixture
def lease_is_over(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let every reservation count as left by a starter that died."""
    return lambda: monkeypatch.setattr("sagaworks.start._LEASE", -1.0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagaworks.start._LOST_REPLY", 0.3)


async def start(starter: Starter, key: str = "order-42", **changes: object) -> Started:
    return await starter.start("place_order", key=key, variables={**LAMP, **changes})


# One key, one saga.


async def test_a_saga_is_started_with_its_key_and_its_variables(place: Place) -> None:
    started = await start(await place.starter())

    assert started.new
    assert started.business_key == "order-42"
    request = place.gateway.instances[started.process_instance]
    (row,) = place.rows
    assert (request.bpmnProcessId, request.version) == ("place_order", -1)
    assert json.loads(request.variables) == {
        "sku": "lamp",
        "quantity": 2,
        "amount": "19.90",
        "saga_key": "order-42",
        "saga_digest": row[1],
    }
    assert row[0] == started.process_instance
    assert place.first_step_of(started.process_instance) is Outcome.EXECUTED


async def test_starting_again_returns_the_saga_that_is_there(place: Place) -> None:
    first = await start(await place.starter())

    again = await start(await place.starter())

    assert again == Started(first.process_instance, "order-42", new=False)
    assert place.creations == 1


async def test_equal_variables_may_be_written_otherwise(place: Place) -> None:
    starter = await place.starter()
    first = await start(starter)

    variables = {"amount": "19.90", "quantity": 2, "sku": "lamp"}
    again = await starter.start("place_order", key="order-42", variables=variables)

    assert again.process_instance == first.process_instance


async def test_other_variables_for_the_same_key_are_refused_with_both_digests(
    place: Place,
) -> None:
    starter = await place.starter()
    await start(starter)

    with pytest.raises(OtherVariablesError) as refused:
        await start(starter, quantity=3)

    ((_, digest),) = place.rows
    said = str(refused.value)
    assert said.startswith(f"order-42 was started with other variables: digest {digest} then, ")
    assert " now; a saga's key is its own for ever, take another" in said
    assert "lamp" not in said
    assert place.creations == 1


async def test_another_process_for_the_same_key_is_refused(place: Place) -> None:
    starter = await place.starter()
    await start(starter)

    with pytest.raises(OtherVariablesError):
        await starter.start("return_order", key="order-42", variables=LAMP)


async def test_other_keys_are_other_sagas(place: Place) -> None:
    starter = await place.starter()

    started = [await start(starter, key) for key in ("order-42", "Order-42", "order-43")]

    assert len({one.process_instance for one in started}) == 3


async def test_simultaneous_starts_are_one_saga(place: Place) -> None:
    starters = [await place.starter(), await place.starter()]

    started = await asyncio.gather(*(start(starter) for starter in starters * 4))

    assert len({one.process_instance for one in started}) == 1
    assert [one.new for one in started].count(True) == 1
    assert place.creations == 1


async def test_a_saga_started_elsewhere_under_the_key_is_returned_and_stays_as_it_is(
    place: Place,
) -> None:
    place.world.deliver(hold_stock, {"sku": "lamp", "quantity": 1}, instance=7)

    started = await start(await place.starter())

    assert (started.process_instance, started.new) == (7, False)
    assert place.rows == [(7, None)]
    assert place.creations == 0


# What can't be started.


@pytest.mark.parametrize("key", ["", " order", "order\n", "x" * 201, "Cafe\u0301", "a\x00b"])
async def test_an_unusable_key_is_refused(place: Place, key: str) -> None:
    with pytest.raises(ContractError, match=r"^the business key "):
        await start(await place.starter(), key)

    assert place.rows == []


async def test_a_variable_of_the_librarys_is_refused(place: Place) -> None:
    with pytest.raises(ContractError, match="`saga_digest`"):
        await start(await place.starter(), saga_digest="x")

    assert place.rows == []


@pytest.mark.parametrize("value", [float("nan"), object(), 2**64, "x" * 1_000_000])
async def test_a_variable_without_a_json_form_is_refused(place: Place, value: object) -> None:
    with pytest.raises(UnencodableError):
        await start(await place.starter(), more=value)

    assert place.rows == []
    assert place.creations == 0


async def test_a_database_that_is_not_migrated_is_refused(place: Place, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "other", zeebe_address=place.gateway.address)

    with pytest.raises(ConfigurationError, match="run `sagaworks db upgrade --all`"):
        async with Starter(shop, settings):
            pass


async def test_what_the_engine_refuses_leaves_the_key_free(place: Place) -> None:
    starter = await place.starter()
    with pytest.raises(EngineError, match="Expected to find process 'plaice_order'"):
        await starter.start("plaice_order", key="order-42", variables=LAMP)
    assert place.rows == []

    started = await start(starter)

    assert started.new


# What goes wrong on the way.


async def test_a_busy_engine_is_asked_again(place: Place) -> None:
    place.gateway.script(CREATE, [Fail(grpc.StatusCode.RESOURCE_EXHAUSTED)])

    started = await start(await place.starter())

    assert started.new
    assert place.creations == 2
    place.gateway.assert_script_done()


async def test_an_engine_that_can_not_be_reached_is_an_error_and_the_start_can_be_repeated(
    place: Place, lease_is_over: Callable[[], None]
) -> None:
    starter = await place.starter()
    async with place.gateway.outage():
        with pytest.raises(EngineUnreachableError, match=r"no engine answers at 127\."):
            await start(starter)
    assert [instance for instance, _ in place.rows] == [None]
    lease_is_over()

    started = None
    while started is None:  # gRPC's own back-off isn't over at once
        with suppress(EngineUnreachableError):
            started = await start(starter)

    assert started.new
    assert len(place.rows) == 1


async def test_a_lost_reply_is_found_by_the_first_steps_job(place: Place) -> None:
    place.gateway.script(CREATE, [LoseReply()])
    starting = asyncio.create_task(start(await place.starter()))
    await place.gateway.until(lambda: place.gateway.instances)
    (instance,) = place.gateway.instances
    outcome = await asyncio.to_thread(place.first_step_of, instance)

    started = await starting

    assert outcome is Outcome.EXECUTED
    assert started == Started(SagaKey(instance), "order-42", new=True)
    assert place.creations == 1


async def test_after_a_lost_reply_a_repeated_start_finds_what_the_first_step_bound(
    place: Place,
) -> None:
    place.gateway.script(CREATE, [LoseReply()])
    starter = await place.starter()
    with pytest.raises(EngineUnreachableError):
        await start(starter)
    (instance,) = place.gateway.instances
    await asyncio.to_thread(place.first_step_of, instance)

    again = await start(starter)

    assert (again.process_instance, again.new) == (instance, False)
    assert place.creations == 1


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED])
async def test_an_answer_that_is_no_refusal_does_not_free_the_key(
    place: Place, code: grpc.StatusCode
) -> None:
    """A gateway whose broker dies says INTERNAL, whether it has taken the command or not."""
    place.gateway.script(CREATE, [Fail(code)])

    with pytest.raises(EngineUnreachableError):
        await start(await place.starter())

    assert [instance for instance, _ in place.rows] == [None]


async def test_after_a_lost_reply_a_refusal_does_not_free_the_key(
    place: Place, lease_is_over: Callable[[], None]
) -> None:
    """There is an instance: a key that is free would take other variables for it."""
    place.gateway.script(CREATE, [LoseReply(), Fail(grpc.StatusCode.INVALID_ARGUMENT)])
    starter = await place.starter()
    with pytest.raises(EngineUnreachableError):
        await start(starter)
    lease_is_over()

    with pytest.raises(EngineError):
        await start(starter)

    assert [instance for instance, _ in place.rows] == [None]
    with pytest.raises(OtherVariablesError):
        await start(starter, quantity=3)


async def test_a_starter_that_died_after_its_reservation_is_followed_by_another(
    place: Place, lease_is_over: Callable[[], None]
) -> None:
    dying = Hold()
    place.gateway.script(CREATE, [dying])
    lost = asyncio.create_task(start(await place.starter()))
    await dying.reached()
    lost.cancel()
    assert [instance for instance, _ in place.rows] == [None]
    lease_is_over()

    started = await start(await place.starter())

    assert started.new
    assert [instance for instance, _ in place.rows] == [started.process_instance]


async def test_a_reservation_is_respected_while_its_lease_lasts(place: Place) -> None:
    slow = Hold()
    place.gateway.script(CREATE, [slow])
    first = asyncio.create_task(start(await place.starter()))
    await slow.reached()
    second = asyncio.create_task(start(await place.starter()))
    await place.gateway.until(lambda: _touched(place) > 1)
    slow.release()

    started = await asyncio.gather(first, second)

    assert [one.new for one in started] == [True, False]
    assert place.creations == 1


async def test_a_starter_that_loses_the_race_cancels_its_own_instance(
    place: Place, lease_is_over: Callable[[], None]
) -> None:
    slow = Hold()
    place.gateway.script(CREATE, [slow])
    losing = asyncio.create_task(start(await place.starter()))
    await slow.reached()
    lease_is_over()
    winner = await start(await place.starter())
    slow.release()

    loser = await losing

    assert winner.new
    assert loser == Started(winner.process_instance, "order-42", new=False)
    assert list(place.gateway.instances) == [winner.process_instance]


async def test_a_second_instance_that_can_not_be_cancelled_is_halted_by_its_first_step(
    place: Place, lease_is_over: Callable[[], None]
) -> None:
    slow = Hold()
    place.gateway.script(CREATE, [slow])
    place.gateway.script("CancelProcessInstance", [Fail(grpc.StatusCode.UNAVAILABLE)])
    losing = asyncio.create_task(start(await place.starter()))
    await slow.reached()
    lease_is_over()
    winner = await start(await place.starter())
    slow.release()

    loser = await losing

    assert loser.process_instance == winner.process_instance
    (second,) = {*place.gateway.instances} - {winner.process_instance}
    assert place.first_step_of(second) is Outcome.DUPLICATE
    place.gateway.assert_script_done()


class RefuseLater(Hold):
    """Hold the call, and refuse it then."""

    async def play(self, act: Act) -> Any:
        async def refuse() -> None:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "scripted: no such variables")

        return await super().play(refuse)


async def test_a_starter_that_is_refused_too_late_takes_the_key_from_nobody(
    place: Place, lease_is_over: Callable[[], None]
) -> None:
    refusing, slow = RefuseLater(), Hold()
    place.gateway.script(CREATE, [refusing, slow])
    late = asyncio.create_task(start(await place.starter()))
    await refusing.reached()
    lease_is_over()
    other = asyncio.create_task(start(await place.starter()))
    await slow.reached()
    refusing.release()
    with pytest.raises(EngineError, match="no such variables"):
        await late
    slow.release()

    started = await other

    assert started.new
    assert [instance for instance, _ in place.rows] == [started.process_instance]


# From code that knows no event loop.


async def test_one_saga_is_started_by_a_function(place: Place) -> None:
    def call() -> Started:
        return start_saga(
            shop, "place_order", key="order-42", variables=LAMP, settings=place.settings
        )

    started = await asyncio.to_thread(call)

    assert started.new
    assert (await asyncio.to_thread(call)).process_instance == started.process_instance


def test_the_function_is_the_packages_own() -> None:
    assert sagaworks.start_saga is start_saga


def _touched(place: Place) -> int:
    with place.world.store.reading() as connection:
        return connection.execute(select(saga_table.c.touched)).scalar_one()


async def test_a_database_that_is_locked_is_one_line_and_the_start_can_be_repeated(
    place: Place, world: World
) -> None:
    starter = await place.starter()
    with sqlite3.connect(world.url.removeprefix("sqlite:///"), isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SagaworksError, match=r"shop\.db: database is locked; start it again"):
            await start(starter)
        other.execute("ROLLBACK")
    other.close()

    assert (await start(starter)).new
    assert place.creations == 1
