"""The worker as a process: told to stop, it takes no more, finishes, hands back, and exits 0."""

import asyncio
import json
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sagaworks.reconcile import Reconciler, Rhythm
from sagaworks.runtime.worker import Worker
from sagaworks.testing import Hold, JobState, ScriptedGateway, ScriptedJob
from tests.runtime.shop import Shop

pytestmark = pytest.mark.anyio

ASK_PRICE = "shop.ask_price"
ROOT = Path(__file__).parents[2]

MODULE = """
    import sys, time
    from pathlib import Path

    from sqlmodel import Session

    from sagaworks import Service
    from sagaworks.project import Project
    from sagaworks.runtime.process import run_worker

    shop = Service("shop")


    @shop.remote_step(kind="retriable")
    def ask_price(seconds: float) -> None:
        print("begun", flush=True)
        time.sleep(seconds)
        print("done", flush=True)


    @shop.step(kind="retriable")
    def count_stock(session: Session, seconds: float) -> None:
        print("begun", flush=True)
        time.sleep(seconds)


    if __name__ == "__main__":
        sys.exit(run_worker(shop, project=Project(Path.cwd(), ("shop:shop",))))
"""

DIAGRAM = """
    <definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
        xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="shop" id="shop">
      <process id="quote" isExecutable="true">
        <startEvent id="asked"><outgoing>begin</outgoing></startEvent>
        <serviceTask id="ask_price" name="Ask price">
          <extensionElements>
            <zeebe:taskDefinition type="shop.ask_price" retries="3"/>
          </extensionElements>
          <incoming>begin</incoming><outgoing>next</outgoing>
        </serviceTask>
        <serviceTask id="count_stock" name="Count stock">
          <extensionElements>
            <zeebe:taskDefinition type="shop.count_stock" retries="3"/>
          </extensionElements>
          <incoming>next</incoming><outgoing>end</outgoing>
        </serviceTask>
        <endEvent id="answered"><incoming>end</incoming></endEvent>
        <sequenceFlow id="begin" sourceRef="asked" targetRef="ask_price"/>
        <sequenceFlow id="next" sourceRef="ask_price" targetRef="count_stock"/>
        <sequenceFlow id="end" sourceRef="count_stock" targetRef="answered"/>
      </process>
    </definitions>
"""


@asynccontextmanager
async def process(shop: Shop, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the worker in its own process; kill it if the test leaves it running."""
    folder = shop.settings.data
    (folder / "bpmn").mkdir(exist_ok=True)
    (folder / "bpmn" / "quote.bpmn").write_text(textwrap.dedent(DIAGRAM).strip())
    (folder / "shop.py").write_text(textwrap.dedent(MODULE))
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "shop.py",
        cwd=folder,
        env={
            "PYTHONPATH": str(ROOT),
            "SAGAWORKS_DATA": str(folder),
            "SAGAWORKS_THREADS": "4",
            "SAGAWORKS_LOCK_SECONDS": "60",
            "SAGAWORKS_GRACE_SECONDS": "4",
            "ZEEBE_ADDRESS": shop.gateway.address,
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await shop.streaming("ask_price")
        yield worker
    finally:
        if worker.returncode is None:
            worker.kill()
        await worker.communicate()


async def stopped(worker: asyncio.subprocess.Process, within: float) -> tuple[int, str]:
    """Send SIGTERM; return the exit code and what was logged."""
    worker.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(within):
            _, errors = await worker.communicate()
    except TimeoutError:
        raise AssertionError(f"still running {within:g} s after the signal") from None
    assert worker.returncode is not None
    return worker.returncode, errors.decode()


async def test_sigterm_under_streaming_load_ends_the_worker_and_loses_no_job(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    """No job stays locked: each is done, or handed back with its retries, or never left here.

    Only what is on the wire at the moment in which the stream is closed may have to wait.
    """
    async with process(shop) as worker:
        jobs = [gateway.offer(ASK_PRICE, {"seconds": 0.1}) for _ in range(200)]
        await gateway.until(lambda: sum(job.is_gone for job in jobs) > 20)
        later: list[ScriptedJob] = []
        loading = asyncio.create_task(keep_offering(gateway, later))
        try:
            code, errors = await stopped(worker, within=8)
        finally:
            loading.cancel()

    assert code == 0, errors
    assert "Traceback" not in errors
    assert sum(job.state is JobState.ACTIVATED for job in jobs) == 0
    assert sum(job.state is JobState.ACTIVATED for job in later) <= 3
    assert {failure.retries for job in jobs for failure in job.failures} <= {3}
    assert all(job.reports[-1] == ("CompleteJob", "OK") for job in jobs if job.is_settled)


async def keep_offering(gateway: ScriptedGateway, jobs: list[ScriptedJob]) -> None:
    """Let jobs come up as fast as a busy engine would, until cancelled."""
    while True:
        jobs.append(gateway.offer(ASK_PRICE, {"seconds": 0.1}))
        await asyncio.sleep(0.005)


async def test_a_worker_told_twice_to_stop_finishes_the_steps_it_has_begun(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    async with process(shop) as worker:
        jobs = [gateway.offer(ASK_PRICE, {"seconds": 1.0}) for _ in range(4)]
        for _ in jobs:
            await worker.stdout.readline()
        worker.send_signal(signal.SIGINT)
        await gateway.until(lambda: not gateway.open_streams(ASK_PRICE), what="streams closed")
        code, _ = await stopped(worker, within=4)

    assert code == 0
    assert [job.reports for job in jobs] == [[("CompleteJob", "OK")]] * 4


async def test_a_full_worker_hands_back_at_once_what_was_pushed_to_it(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    async with process(shop) as worker:
        jobs = [gateway.offer(ASK_PRICE, {"seconds": 1.5}) for _ in range(60)]
        for _ in range(4):
            await worker.stdout.readline()
        await gateway.until(lambda: all(job.deliveries for job in jobs), what="all pushed")
        began = time.monotonic()
        code, _ = await stopped(worker, within=6)

    done = [job for job in jobs if job.reports == [("CompleteJob", "OK")]]
    returned = [job for job in jobs if job.reports == [("FailJob", "OK")]]
    assert code == 0
    assert (len(done), len(returned)) == (4, 56)
    assert {job.failures[0].retries for job in returned} == {3}
    assert max(job.calls[-1].at for job in returned) - began < 2.0


async def test_a_stopping_worker_takes_no_more_and_removes_its_run_file(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    run_file = shop.settings.run_file("shop")
    async with process(shop) as worker:
        about = json.loads(run_file.read_text())
        begun = gateway.offer(ASK_PRICE, {"seconds": 1.0})
        await worker.stdout.readline()
        worker.send_signal(signal.SIGTERM)
        await gateway.until(lambda: not gateway.open_streams(ASK_PRICE), what="streams closed")
        later = gateway.offer(ASK_PRICE, {"seconds": 0.0})
        await worker.communicate()

    assert begun.state is JobState.COMPLETED
    assert (later.state, later.deliveries) == (JobState.ACTIVATABLE, 0)
    assert (about["service"], about["pid"]) == ("shop", worker.pid)
    assert about["management_url"].startswith("http://127.0.0.1:")
    assert not run_file.exists()


async def test_a_step_that_outlasts_the_grace_is_handed_back_and_doesnt_keep_the_process(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    async with process(shop, SAGAWORKS_GRACE_SECONDS="1") as worker:
        job = gateway.offer(ASK_PRICE, {"seconds": 30.0})
        await worker.stdout.readline()
        began = time.monotonic()
        code, errors = await stopped(worker, within=5)

    assert code == 0
    assert time.monotonic() - began >= 1
    assert "left unfinished" in errors
    assert job.reports == [("FailJob", "OK")]
    assert job.failures[0].retries == 3


async def test_a_step_that_has_outlasted_its_first_lock_is_handed_back_too(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    environment = {"SAGAWORKS_GRACE_SECONDS": "0.5", "SAGAWORKS_LOCK_SECONDS": "1.5"}
    async with process(shop, **environment) as worker:
        job = gateway.offer(ASK_PRICE, {"seconds": 30.0})
        await worker.stdout.readline()
        begun = time.monotonic()
        await gateway.until(lambda: time.monotonic() - begun > 2, what="the first lock's end")
        code, _ = await stopped(worker, within=5)

    assert code == 0
    assert job.deliveries == 1
    assert job.reports == [("FailJob", "OK")]


async def test_a_step_that_hangs_in_its_transaction_doesnt_keep_the_process(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    """It holds the database's only writer, for which the marks of other steps wait."""
    async with process(shop, SAGAWORKS_GRACE_SECONDS="1") as worker:
        await shop.streaming("count_stock")
        gateway.script("CompleteJob", [hold := Hold()])
        quick = gateway.offer("shop.count_stock", {"seconds": 0.0})
        await hold.reached()
        gateway.offer("shop.count_stock", {"seconds": 30.0})
        await worker.stdout.readline()
        await worker.stdout.readline()
        hold.release()
        await quick.settled()
        code, _ = await stopped(worker, within=5)

    assert code == 0


async def test_a_worker_is_stopped_while_its_engine_is_down(
    gateway: ScriptedGateway, shop: Shop
) -> None:
    async with process(shop, SAGAWORKS_GRACE_SECONDS="1") as worker:
        for _ in range(10):
            gateway.offer(ASK_PRICE, {"seconds": 0.5})
        await worker.stdout.readline()
        async with gateway.outage():
            code, errors = await stopped(worker, within=5)

    assert code == 0
    assert "Traceback" not in errors


def test_a_data_folder_that_cant_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "bpmn").mkdir()
    (tmp_path / "bpmn" / "quote.bpmn").write_text(textwrap.dedent(DIAGRAM).strip())
    (tmp_path / "run").touch()  # where a folder should be

    ended = subprocess.run(
        [sys.executable, "shop.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "SAGAWORKS_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    said = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert said[-1].endswith("run/shop.json: File exists; SAGAWORKS_DATA names another folder")
    assert "Traceback" not in ended.stderr


async def test_a_reconciler_that_hangs_is_left_too(
    gateway: ScriptedGateway, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hang(_reconciler: Reconciler) -> int:
        loop.call_soon_threadsafe(inside.set)
        go_on.wait(10)
        return 0

    monkeypatch.setattr("sagaworks.reconcile.reconciler._PARTING", 0.01)
    monkeypatch.setattr(Reconciler, "sweep", hang)
    worker = Worker(shop.service, shop.settings, rhythm=Rhythm(pause=0.01))
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await inside.wait()
    stop.set()

    assert await running == 1
    go_on.set()
