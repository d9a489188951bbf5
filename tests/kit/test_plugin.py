"""The plugin in suites of other people: run by pytest's own tester, in processes of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from sagaworks.settings import Settings

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
CACHE = Settings.load({}).engine_cache

DIAGRAM = """<?xml version="1.0"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="kit">
  <process id="greet" isExecutable="true">
    <startEvent id="asked"><outgoing>f1</outgoing></startEvent>
    <serviceTask id="say_hello"><extensionElements>
      <zeebe:taskDefinition type="greeter.say_hello"/></extensionElements>
      <incoming>f1</incoming><outgoing>f2</outgoing></serviceTask>
    <endEvent id="greeted"><incoming>f2</incoming></endEvent>
    <sequenceFlow id="f1" sourceRef="asked" targetRef="say_hello"/>
    <sequenceFlow id="f2" sourceRef="say_hello" targetRef="greeted"/>
  </process>
</definitions>
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with one diagram: no project of ours around it."""
    (tmp_path / "greet.bpmn").write_text(DIAGRAM)
    return tmp_path


def run(suite: Path, test: str, *options: str) -> tuple[int, str]:
    """Run a suite of one file, return exit code and output."""
    (suite / "test_suite.py").write_text(test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=suite,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "SAGAWORKS_CACHE": str(CACHE)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


STUBBED = """
def test_greeting(zeebe):
    zeebe.stub("greeter.say_hello", {"said": "hello"})
    zeebe.deploy("greet.bpmn")
    saga = zeebe.run("greet")
    saga.assert_completed()
    assert saga.variables["said"] == "hello"
"""


def test_a_suite_without_a_project_uses_the_fixture(suite: Path) -> None:
    code, said = run(suite, STUBBED)

    assert code == 0, said


PLAIN = """
import asyncio
from pyzeebe import ZeebeClient, ZeebeWorker

def test_greeting(zeebe):
    async def test():
        channel = zeebe.channel()
        worker = ZeebeWorker(channel)

        @worker.task(task_type="greeter.say_hello")
        async def say_hello() -> dict:
            return {"said": "hello"}

        client = ZeebeClient(channel)
        await client.deploy_resource("greet.bpmn")
        working = asyncio.create_task(worker.work())
        answer = await client.run_process_with_result("greet", timeout=20_000)
        assert answer.variables["said"] == "hello"
        await worker.stop()
        working.cancel()
        await channel.close()

    asyncio.run(test())
    zeebe.settle()
    (greeting,) = zeebe.history.all_instances()
    assert greeting.last == "ELEMENT_COMPLETED"
"""


def test_a_plain_pyzeebe_worker_needs_no_special_settings(suite: Path) -> None:
    code, said = run(suite, PLAIN)

    assert code == 0, said


PARALLEL = """
import pytest

@pytest.mark.parametrize("number", range(4))
def test_greeting(zeebe, number):
    zeebe.stub("greeter.say_hello")
    zeebe.deploy("greet.bpmn")
    zeebe.run("greet", key="the same").assert_completed()
    assert len(zeebe.history.instances("the same")) == 1
"""


def test_tests_run_in_parallel_each_on_an_engine_of_its_own(suite: Path) -> None:
    code, said = run(suite, PARALLEL, "-n", "2")

    assert code == 0, said
    assert "4 passed" in said


DYING = """
import os, signal, threading

def test_while_the_engine_dies(zeebe):
    threading.Timer(0.3, os.kill, (zeebe.engine.pid, signal.SIGKILL)).start()
    zeebe.deploy("greet.bpmn")
    zeebe.run("greet").wait(within=20)

def test_afterwards(zeebe):
    zeebe.stub("greeter.say_hello")
    zeebe.deploy("greet.bpmn")
    zeebe.run("greet").assert_completed()
"""


def test_an_engine_that_dies_fails_its_test_and_no_other(suite: Path) -> None:
    code, said = run(suite, DYING)

    assert code == 1
    assert "1 failed, 1 passed" in said
    assert "the test engine's process was killed by signal 9" in said


FAILING = """
def test_greeting(zeebe):
    zeebe.deploy("greet.bpmn")
    zeebe.run("greet").wait(within=0.5)
"""


def test_a_failure_tells_trail_and_what_is_awaited(suite: Path) -> None:
    code, said = run(suite, FAILING)

    assert code == 1
    assert "  say_hello waiting" in said
    assert "it waits for: a worker for greeter.say_hello" in said
    assert "its picture: none" in said  # the diagram has no layout


def test_an_engine_that_nobody_knows_is_one_line(suite: Path) -> None:
    code, said = run(suite, STUBBED, "--zeebe=nonsense")

    assert code == 1
    assert "--zeebe=nonsense: is none of embedded, broker and HOST:PORT" in said


def test_a_cluster_that_nobody_runs_is_one_line(suite: Path) -> None:
    code, said = run(suite, STUBBED, "--zeebe=127.0.0.1:1")

    assert code == 1
    assert "no engine answers at 127.0.0.1:1" in said


UNUSED = """
import sys

def test_nothing_of_ours():
    heavy = ("grpc", "pyzeebe", "sqlalchemy", "pydantic", "loguru", "sagaworks.runtime")
    assert [name for name in heavy if name in sys.modules] == []
"""


def test_a_suite_that_does_not_use_it_imports_nothing_heavy(suite: Path) -> None:
    code, said = run(suite, UNUSED)

    assert code == 0, said
