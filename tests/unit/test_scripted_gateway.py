"""The scripted gateway answers as the engine was measured to, and does what a script says."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import grpc
import pytest
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from sagaworks.testing import (
    Delay,
    Fail,
    Hold,
    JobState,
    LoseReply,
    Pass,
    ScriptedGateway,
    ScriptedJob,
)

pytestmark = pytest.mark.anyio

HOLD_STOCK = "inventory.hold_stock"
SECOND = 1000  # milliseconds


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    async with ScriptedGateway() as gateway:
        yield gateway


@pytest.fixture
async def stub(gateway: ScriptedGateway) -> AsyncIterator[GatewayStub]:
    options = [
        ("grpc.enable_retries", 0),
        ("grpc.max_reconnect_backoff_ms", 100),
        ("grpc.http2.bdp_probe", 0),  # the window stays small, whatever the machine's speed
    ]
    async with grpc.aio.insecure_channel(gateway.address, options) as channel:
        yield GatewayStub(channel)


async def poll(
    stub: GatewayStub,
    *,
    job_type: str = HOLD_STOCK,
    most: int = 10,
    lock: int = 10 * SECOND,
    wait: int = -1,
    fetch: Sequence[str] = (),
) -> list[pb.ActivatedJob]:
    request = pb.ActivateJobsRequest(
        type=job_type,
        worker="test",
        timeout=lock,
        maxJobsToActivate=most,
        requestTimeout=wait,
        fetchVariable=fetch,
    )
    return [job async for answer in stub.ActivateJobs(request) for job in answer.jobs]


@asynccontextmanager
async def stream(
    gateway: ScriptedGateway, stub: GatewayStub, *, lock: int = 10 * SECOND
) -> AsyncIterator[grpc.aio.UnaryStreamCall]:
    opened = gateway.open_streams(HOLD_STOCK)
    call = stub.StreamActivatedJobs(
        pb.StreamActivatedJobsRequest(type=HOLD_STOCK, worker="test", timeout=lock)
    )
    await gateway.until(lambda: gateway.open_streams(HOLD_STOCK) == opened + 1)
    try:
        yield call
    finally:
        call.cancel()


async def pushed(pushes: grpc.aio.UnaryStreamCall, count: int = 1) -> list[int]:
    """Read that many jobs from a stream; return their keys."""
    async with asyncio.timeout(5):
        return [(await pushes.read()).key for _ in range(count)]


async def complete(stub: GatewayStub, job: ScriptedJob, variables: str = "{}") -> str:
    return await answer(
        stub.CompleteJob(pb.CompleteJobRequest(jobKey=job.key, variables=variables))
    )


async def fail(stub: GatewayStub, job: ScriptedJob, retries: int, back_off: int = 0) -> str:
    request = pb.FailJobRequest(
        jobKey=job.key, retries=retries, retryBackOff=back_off, errorMessage="no stock"
    )
    return await answer(stub.FailJob(request))


async def throw(stub: GatewayStub, job: ScriptedJob, code: str) -> str:
    return await answer(stub.ThrowError(pb.ThrowErrorRequest(jobKey=job.key, errorCode=code)))


async def extend(stub: GatewayStub, job: ScriptedJob, lock: int) -> str:
    request = pb.UpdateJobTimeoutRequest(jobKey=job.key, timeout=lock)
    return await answer(stub.UpdateJobTimeout(request))


async def answer(call: grpc.aio.UnaryUnaryCall) -> str:
    """Return the status code's name; wait no longer than the test should."""
    async with asyncio.timeout(5):
        return (await call.code()).name


async def test_a_poll_hands_out_what_waits_up_to_its_limit(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    for _ in range(3):
        gateway.offer(HOLD_STOCK)

    assert len(await poll(stub, most=2)) == 2
    assert gateway.waiting(HOLD_STOCK) == 1
    assert len(gateway.locked(HOLD_STOCK)) == 2


async def test_a_delivered_job_carries_what_the_diagram_says(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    offered = gateway.offer(
        HOLD_STOCK, {"sku": "lamp"}, saga_key="order-42", retries=5, headers={"undo": "all"}
    )

    [job] = await poll(stub)

    assert (job.key, job.type, job.retries) == (offered.key, HOLD_STOCK, 5)
    assert job.elementId == "hold_stock"
    assert job.elementInstanceKey == offered.element_instance
    assert job.processInstanceKey == offered.process_instance
    assert json.loads(job.variables) == {"saga_key": "order-42", "sku": "lamp"}
    assert json.loads(job.customHeaders) == {"undo": "all"}
    assert job.tenantId == "<default>"
    assert job.deadline / 1000 == pytest.approx(datetime.now(tz=UTC).timestamp() + 10, abs=1)


async def test_only_the_fetched_variables_come_along(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    gateway.offer(HOLD_STOCK, {"sku": "lamp", "card": "4242"}, saga_key=None)

    [job] = await poll(stub, fetch=["sku", "quantity"])

    assert json.loads(job.variables) == {"sku": "lamp"}


async def test_each_offered_job_has_keys_of_its_own(gateway: ScriptedGateway) -> None:
    jobs = [gateway.offer(HOLD_STOCK) for _ in range(3)]
    keys = [key for j in jobs for key in (j.key, j.process_instance, j.element_instance)]

    assert len(set(keys)) == 9
    assert len({job.variables["saga_key"] for job in jobs}) == 3


async def test_a_negative_request_timeout_doesnt_wait(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    begin = time.monotonic()

    assert await poll(stub, wait=-1) == []
    assert time.monotonic() - begin < 1


async def test_a_long_poll_without_a_job_ends_empty_after_its_time(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    begin = time.monotonic()

    assert await poll(stub, wait=200) == []
    assert 0.2 <= time.monotonic() - begin < 2


async def test_a_long_poll_is_woken_by_a_job(gateway: ScriptedGateway, stub: GatewayStub) -> None:
    waiting = asyncio.create_task(poll(stub, wait=10 * SECOND))
    await gateway.until(lambda: gateway.open_polls(HOLD_STOCK) == 1)

    gateway.offer(HOLD_STOCK)

    async with asyncio.timeout(5):
        assert len(await waiting) == 1


async def test_a_poll_that_its_client_left_takes_no_job(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    waiting = asyncio.create_task(poll(stub, wait=10 * SECOND))
    await gateway.until(lambda: gateway.open_polls(HOLD_STOCK) == 1)
    waiting.cancel()
    await gateway.until(lambda: gateway.open_polls(HOLD_STOCK) == 0)

    job = gateway.offer(HOLD_STOCK)

    assert job.state is JobState.ACTIVATABLE
    assert gateway.polls_of(HOLD_STOCK)[0].answered == "CANCELLED"


@pytest.mark.parametrize(
    "wrong", [{"job_type": ""}, {"most": 0}, {"lock": 0}, {"lock": -1}], ids=str
)
async def test_a_poll_that_makes_no_sense_is_refused(
    gateway: ScriptedGateway, stub: GatewayStub, wrong: dict[str, object]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await poll(stub, **wrong)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_another_tenant_is_refused_as_multi_tenancy_is_off(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    request = pb.ActivateJobsRequest(
        type=HOLD_STOCK, worker="w", timeout=1, maxJobsToActivate=1, tenantIds=["acme"]
    )

    assert await answer(stub.ActivateJobs(request)) == "INVALID_ARGUMENT"


async def test_a_stream_is_pushed_what_comes_up_and_not_what_waited(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    old = gateway.offer(HOLD_STOCK)
    async with stream(gateway, stub) as pushes:
        new = gateway.offer(HOLD_STOCK)

        assert await pushed(pushes) == [new.key]

    assert (old.state, old.deliveries) == (JobState.ACTIVATABLE, 0)


async def test_a_burst_goes_to_the_stream_whatever_the_worker_can_bear(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    async with stream(gateway, stub) as pushes:
        jobs = [gateway.offer(HOLD_STOCK) for _ in range(200)]

        assert await pushed(pushes, 200) == [job.key for job in jobs]
        assert len(gateway.locked(HOLD_STOCK)) == 200


async def test_a_client_that_doesnt_read_holds_the_pushes_back(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    async with stream(gateway, stub) as pushes:
        for _ in range(20):
            gateway.offer(HOLD_STOCK, {"padding": "x" * 100_000})
        await pushed(pushes)
        await gateway.until(lambda: gateway.unsent(HOLD_STOCK) > 0)

        assert gateway.unsent(HOLD_STOCK) > 10


async def test_two_streams_take_turns(gateway: ScriptedGateway, stub: GatewayStub) -> None:
    async with stream(gateway, stub) as one, stream(gateway, stub) as two:
        jobs = [gateway.offer(HOLD_STOCK) for _ in range(2)]

        assert [await pushed(one), await pushed(two)] == [[job.key] for job in jobs]


async def test_what_a_closed_stream_didnt_take_waits_again(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    async with stream(gateway, stub):
        jobs = [gateway.offer(HOLD_STOCK, {"padding": "x" * 100_000}) for _ in range(20)]
        await gateway.until(lambda: jobs[0].deliveries == 1)
    await gateway.until(lambda: gateway.open_streams(HOLD_STOCK) == 0)

    assert gateway.waiting(HOLD_STOCK) > 10


async def test_a_broken_stream_tells_its_code(gateway: ScriptedGateway, stub: GatewayStub) -> None:
    async with stream(gateway, stub) as pushes:
        assert gateway.break_streams(grpc.StatusCode.INTERNAL) == 1

        assert await answer(pushes) == "INTERNAL"
    assert gateway.calls_of("StreamActivatedJobs")[0].answered == "INTERNAL"


async def test_a_job_whose_lock_ends_comes_again_with_its_retries(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK, retries=3)
    await poll(stub, lock=50)

    [again] = await poll(stub, wait=5 * SECOND)

    assert (again.key, again.retries, job.deliveries) == (job.key, 3, 2)


async def test_a_job_whose_lock_ends_is_pushed_again(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    async with stream(gateway, stub, lock=50) as pushes:
        job = gateway.offer(HOLD_STOCK)

        assert await pushed(pushes, 3) == [job.key] * 3


async def test_an_extended_lock_counts_from_now(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    await poll(stub, lock=200)

    assert await extend(stub, job, 60 * SECOND) == "OK"

    assert await poll(stub, wait=400) == []
    assert job.lock_ends == pytest.approx(time.monotonic() + 60, abs=2)


async def test_a_shortened_lock_ends_sooner(gateway: ScriptedGateway, stub: GatewayStub) -> None:
    gateway.offer(HOLD_STOCK)
    [job] = await poll(stub)

    await extend(stub, gateway.jobs[job.key], 10)

    assert len(await poll(stub, wait=5 * SECOND)) == 1


async def test_a_lock_that_nobody_holds_isnt_extended(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    waiting, failed, gone = (gateway.offer(HOLD_STOCK) for _ in range(3))
    await fail(stub, failed, 0)
    gateway.cancel(gone)

    assert await extend(stub, waiting, SECOND) == "FAILED_PRECONDITION"
    assert await extend(stub, failed, SECOND) == "FAILED_PRECONDITION"
    assert await extend(stub, gone, SECOND) == "NOT_FOUND"


async def test_the_deadline_is_on_the_engines_wall_clock() -> None:
    async with (
        ScriptedGateway(clock_ahead=3600) as gateway,
        grpc.aio.insecure_channel(gateway.address) as channel,
    ):
        gateway.offer(HOLD_STOCK)
        [job] = await poll(GatewayStub(channel), lock=5 * SECOND)

    ahead = job.deadline / 1000 - datetime.now(tz=UTC).timestamp()
    assert ahead == pytest.approx(3605, abs=2)


async def test_a_completed_job_keeps_its_answer_and_is_gone(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    await poll(stub)

    assert await complete(stub, job, '{"stock_held": {"sku": "lamp"}}') == "OK"
    assert await complete(stub, job) == "NOT_FOUND"

    assert job.answer == {"stock_held": {"sku": "lamp"}}
    assert (await job.settled()).state is JobState.COMPLETED
    assert job.reports == [("CompleteJob", "OK"), ("CompleteJob", "NOT_FOUND")]


async def test_a_late_completion_is_accepted_while_the_job_exists(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    await poll(stub, lock=20)
    await gateway.until(lambda: job.state is JobState.ACTIVATABLE)

    assert await complete(stub, job) == "OK"
    assert await poll(stub) == []


async def test_the_second_holder_of_a_completed_job_gets_not_found(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    await poll(stub, lock=20)
    await poll(stub, wait=5 * SECOND)

    assert [await complete(stub, job), await complete(stub, job)] == ["OK", "NOT_FOUND"]


@pytest.mark.parametrize("variables", ["[1]", '{"rate": NaN}', "{", '"text"'])
async def test_variables_that_are_no_json_object_are_refused(
    gateway: ScriptedGateway, stub: GatewayStub, variables: str
) -> None:
    job = gateway.offer(HOLD_STOCK)

    assert await complete(stub, job, variables) == "INVALID_ARGUMENT"
    assert not job.is_settled


async def test_a_failed_job_comes_again_at_once(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    await poll(stub)

    assert await fail(stub, job, 2) == "OK"

    [again] = await poll(stub)
    assert again.retries == 2
    assert await complete(stub, job) == "OK"


async def test_a_failed_job_waits_for_its_back_off(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    await poll(stub)
    await fail(stub, job, 2, back_off=300)

    assert await complete(stub, job) == "FAILED_PRECONDITION"
    assert await poll(stub) == []
    assert len(await poll(stub, wait=5 * SECOND)) == 1


async def test_a_job_without_retries_waits_in_an_incident_until_it_is_resolved(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    await poll(stub)
    await fail(stub, job, 0)

    assert (await job.settled()).incident.message == "no stock"
    assert job.incident.kind == "JOB_NO_RETRIES"
    assert await complete(stub, job) == "FAILED_PRECONDITION"
    assert await poll(stub) == []

    gateway.resolve(job, retries=2)

    [again] = await poll(stub)
    assert again.retries == 2
    assert not job.is_settled


async def test_a_zombies_fail_puts_the_live_job_into_an_incident(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    await poll(stub, lock=20)
    await poll(stub, wait=5 * SECOND)

    assert await fail(stub, job, 0) == "OK"
    assert await complete(stub, job) == "FAILED_PRECONDITION"


async def test_a_caught_error_takes_the_job_away(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK, catches=["OUT_OF_STOCK"])
    await poll(stub)

    assert await throw(stub, job, "OUT_OF_STOCK") == "OK"

    assert await throw(stub, job, "OUT_OF_STOCK") == "NOT_FOUND"
    assert job.thrown.errorCode == "OUT_OF_STOCK"
    assert job.incident is None


async def test_an_uncaught_error_is_accepted_and_leaves_an_incident(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK, catches=["OUT_OF_STOCK"])
    await poll(stub)

    assert await throw(stub, job, "NO_SUCH_SKU") == "OK"

    assert job.incident.kind == "UNHANDLED_ERROR_EVENT"
    assert await throw(stub, job, "NO_SUCH_SKU") == "FAILED_PRECONDITION"
    gateway.resolve(job)
    assert len(await poll(stub)) == 1


async def test_a_cancelled_job_is_not_found_by_any_command(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    await poll(stub)
    gateway.cancel(job)

    answers = [await complete(stub, job), await fail(stub, job, 1), await throw(stub, job, "X")]

    assert answers == ["NOT_FOUND"] * 3


async def test_retries_are_set_without_resolving_the_incident(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    await fail(stub, job, 0)

    request = pb.UpdateJobRetriesRequest(jobKey=job.key, retries=4)
    assert await answer(stub.UpdateJobRetries(request)) == "OK"

    assert job.retries == 4
    assert job.incident is not None


async def test_a_job_is_delivered_again_while_its_lock_holds(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    await poll(stub)

    gateway.redeliver(job)

    assert [again.key for again in await poll(stub)] == [job.key]


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_job_is_delivered_several_times_at_once(
    gateway: ScriptedGateway, stub: GatewayStub, *, streaming: bool
) -> None:
    if streaming:
        async with stream(gateway, stub) as pushes:
            job = gateway.offer(HOLD_STOCK)
            await pushed(pushes)
            gateway.deliver_simultaneously(job, 4)
            keys = await pushed(pushes, 4)
    else:
        job = gateway.offer(HOLD_STOCK)
        gateway.deliver_simultaneously(job, 4)
        keys = [again.key for again in await poll(stub)]

    assert keys == [job.key] * 4


async def test_a_scripted_failure_does_nothing_to_the_job(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    gateway.script("CompleteJob", [Fail(grpc.StatusCode.RESOURCE_EXHAUSTED), Pass()])

    assert await complete(stub, job) == "RESOURCE_EXHAUSTED"
    assert job.state is JobState.ACTIVATABLE
    assert await complete(stub, job) == "OK"
    gateway.assert_script_done()


async def test_a_lost_reply_is_an_act_nobody_hears_of(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    gateway.script("CompleteJob", [LoseReply()])

    assert await complete(stub, job) == "UNAVAILABLE"
    assert await complete(stub, job) == "NOT_FOUND"
    assert job.state is JobState.COMPLETED


async def test_jobs_of_a_lost_poll_are_locked_until_their_time(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    gateway.script("ActivateJobs", [LoseReply()])

    with pytest.raises(grpc.aio.AioRpcError):
        await poll(stub, lock=100)

    assert job.state is JobState.ACTIVATED
    assert len(await poll(stub, wait=5 * SECOND)) == 1


@pytest.mark.parametrize("acted", [True, False])
async def test_a_delayed_command_acts_before_or_after_its_delay(
    gateway: ScriptedGateway, stub: GatewayStub, *, acted: bool
) -> None:
    job = gateway.offer(HOLD_STOCK)
    gateway.script("CompleteJob", [Delay(0.2, acted=acted)])
    begin = time.monotonic()

    sent = asyncio.create_task(complete(stub, job))
    await gateway.until(lambda: len(job.calls) == 1)

    assert (job.state is JobState.COMPLETED) is acted
    assert await sent == "OK"
    assert time.monotonic() - begin >= 0.2


async def test_a_held_command_waits_for_the_test(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    hold = Hold()
    gateway.script("CompleteJob", [hold])
    sent = asyncio.create_task(complete(stub, job))
    await hold.reached()

    assert job.reports == [("CompleteJob", "OPEN")]
    hold.release()

    assert await sent == "OK"


async def test_a_script_can_choose_its_calls(gateway: ScriptedGateway, stub: GatewayStub) -> None:
    first, second = gateway.offer(HOLD_STOCK), gateway.offer(HOLD_STOCK)
    gateway.script(
        "CompleteJob",
        [Fail(grpc.StatusCode.INTERNAL)],
        when=lambda request: request.jobKey == second.key,
    )

    assert [await complete(stub, first), await complete(stub, second)] == ["OK", "INTERNAL"]


async def test_a_fault_that_never_happened_fails_the_test(gateway: ScriptedGateway) -> None:
    gateway.script("CompleteJob", [LoseReply()])

    with pytest.raises(AssertionError, match="never happened: CompleteJob: LoseReply"):
        gateway.assert_script_done()


async def test_a_method_can_fail_for_as_long_as_the_test_needs(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    with gateway.failing("CompleteJob", grpc.StatusCode.INTERNAL):
        assert [await complete(stub, job) for _ in range(3)] == ["INTERNAL"] * 3

    assert await complete(stub, job) == "OK"


async def test_a_failing_method_that_nobody_called_fails_the_test(gateway: ScriptedGateway) -> None:
    with (
        pytest.raises(AssertionError, match="never happened: FailJob: INTERNAL"),
        gateway.failing("FailJob", grpc.StatusCode.INTERNAL),
    ):
        pass


async def test_a_method_that_isnt_simulated_cant_be_scripted(gateway: ScriptedGateway) -> None:
    with pytest.raises(ValueError, match="CompleteJbo: one of ActivateJobs"):
        gateway.script("CompleteJbo", [Pass()])


async def test_a_refused_stream_isnt_opened(gateway: ScriptedGateway, stub: GatewayStub) -> None:
    gateway.script("StreamActivatedJobs", [Fail(grpc.StatusCode.RESOURCE_EXHAUSTED)])

    call = stub.StreamActivatedJobs(
        pb.StreamActivatedJobsRequest(type=HOLD_STOCK, worker="w", timeout=1)
    )

    assert await answer(call) == "RESOURCE_EXHAUSTED"
    assert gateway.open_streams(HOLD_STOCK) == 0


async def test_an_outage_refuses_connections_and_ends_open_calls(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    address = gateway.address
    waiting = asyncio.create_task(poll(stub, wait=60 * SECOND))
    async with stream(gateway, stub) as pushes:
        await gateway.until(lambda: gateway.open_polls(HOLD_STOCK) == 1)
        async with gateway.outage():
            job = gateway.offer(HOLD_STOCK)

            assert await answer(pushes) == "UNAVAILABLE"
            assert await complete(stub, job) == "UNAVAILABLE"
            with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
                await waiting
            assert job.state is JobState.ACTIVATABLE

    assert gateway.address == address
    request = pb.CompleteJobRequest(jobKey=job.key)
    assert await answer(stub.CompleteJob(request, wait_for_ready=True)) == "OK"


async def test_locks_end_during_an_outage(gateway: ScriptedGateway, stub: GatewayStub) -> None:
    job = gateway.offer(HOLD_STOCK)
    await poll(stub, lock=50)

    async with gateway.outage():
        await gateway.until(lambda: job.state is JobState.ACTIVATABLE)


async def test_a_frozen_gateway_takes_calls_and_answers_none(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    request = pb.CompleteJobRequest(jobKey=job.key)
    with gateway.frozen():
        assert await answer(stub.CompleteJob(request, timeout=0.1)) == "DEADLINE_EXCEEDED"
        await gateway.until(lambda: gateway.calls[0].ended)

    assert job.state is JobState.ACTIVATABLE
    assert await complete(stub, job) == "OK"


async def test_every_call_is_on_record_with_its_times_and_code(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    begin = time.monotonic()
    await poll(stub)
    await complete(stub, job)
    await complete(stub, job)

    polled, *completed = gateway.calls

    assert (polled.method, polled.answered, polled.jobs) == ("ActivateJobs", "OK", [job.key])
    assert [call.answered for call in completed] == ["OK", "NOT_FOUND"]
    assert all(begin <= call.at <= call.ended <= time.monotonic() for call in gateway.calls)


async def test_a_condition_that_never_holds_tells_what_was_called(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    await complete(stub, job)

    with pytest.raises(TimeoutError, match=f"(?s)the moon.*CompleteJob {job.key} -> OK"):
        await gateway.until(lambda: False, timeout=0.05, what="the moon")


async def test_a_process_is_started_each_time_it_is_asked_for(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    gateway.know("place_order")
    request = pb.CreateProcessInstanceRequest(
        bpmnProcessId="place_order", version=-1, variables='{"sku": "lamp"}'
    )

    keys = [(await stub.CreateProcessInstance(request)).processInstanceKey for _ in range(2)]

    assert list(gateway.instances) == keys
    assert json.loads(gateway.instances[keys[0]].variables) == {"sku": "lamp"}


async def test_an_unknown_process_isnt_started(gateway: ScriptedGateway, stub: GatewayStub) -> None:
    request = pb.CreateProcessInstanceRequest(bpmnProcessId="place_order")

    assert await answer(stub.CreateProcessInstance(request)) == "NOT_FOUND"


async def test_a_cancelled_instance_loses_its_jobs(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    job = gateway.offer(HOLD_STOCK)
    request = pb.CancelProcessInstanceRequest(processInstanceKey=job.process_instance)

    assert await answer(stub.CancelProcessInstance(request)) == "OK"
    assert await answer(stub.CancelProcessInstance(request)) == "NOT_FOUND"
    assert job.state is JobState.CANCELED


DIAGRAM = b"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL">
  <process id="place_order"/>%s</definitions>"""


def deployment(content: bytes) -> pb.DeployResourceRequest:
    return pb.DeployResourceRequest(resources=[pb.Resource(name="o.bpmn", content=content)])


async def test_the_same_diagram_keeps_its_version_and_another_gets_the_next(
    gateway: ScriptedGateway, stub: GatewayStub
) -> None:
    contents = [DIAGRAM % b"", DIAGRAM % b"", DIAGRAM % b"<!-- new -->"]

    answers = [await stub.DeployResource(deployment(content)) for content in contents]

    processes = [a.deployments[0].process for a in answers]
    assert [p.version for p in processes] == [1, 1, 2]
    assert {p.bpmnProcessId for p in processes} == {"place_order"}


@pytest.mark.parametrize("content", [b"text", b"<!DOCTYPE x>" + DIAGRAM % b""])
async def test_what_is_no_diagram_isnt_deployed(
    gateway: ScriptedGateway, stub: GatewayStub, content: bytes
) -> None:
    assert await answer(stub.DeployResource(deployment(content))) == "INVALID_ARGUMENT"


async def test_the_topology_names_a_broker(gateway: ScriptedGateway, stub: GatewayStub) -> None:
    topology = await stub.Topology(pb.TopologyRequest())

    assert (topology.gatewayVersion, len(topology.brokers)) == ("8.6.0", 1)
