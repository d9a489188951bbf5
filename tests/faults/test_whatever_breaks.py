"""What `@whatever_breaks` makes of a test: each thing that breaks by name, or why it can't."""

import os
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from sagaworks.testing.faults.kinds import kinds
from tests.faults.diagrams import ONE_STEP

pytestmark = pytest.mark.engine

OF_PLAIN_PYZEEBE = f'''
import asyncio
from contextlib import asynccontextmanager

import pytest
from pyzeebe import Job, ZeebeWorker

from sagaworks.testing import whatever_breaks

DIAGRAM = """{ONE_STEP}"""
pytestmark = pytest.mark.anyio


@asynccontextmanager
async def plain_worker(zeebe, hold_stock):
    channel = zeebe.channel()
    worker = ZeebeWorker(channel)
    worker.task(task_type="shop.hold_stock")(hold_stock)
    working = asyncio.create_task(worker.work())
    yield
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await channel.close()


@pytest.fixture
def anyio_backend():
    return "asyncio"


@whatever_breaks
async def test_forgetful(zeebe):
    held = []

    async def hold_stock(saga_key):
        held.append(saga_key)

    async with plain_worker(zeebe, hold_stock):
        zeebe.deploy(DIAGRAM)
        saga = zeebe.run("hold")
        await saga

    assert len(held) == 1


@whatever_breaks
async def test_careful(zeebe):
    held = set()

    async def hold_stock(saga_key):
        held.add(saga_key)

    async with plain_worker(zeebe, hold_stock):
        zeebe.deploy(DIAGRAM)
        await zeebe.run("hold")

    assert len(held) == 1


@whatever_breaks(only="twice", seed=77)
def test_nothing_happens(zeebe):
    zeebe.faults.patience = 0.1


def test_asked_for_too_late(zeebe):
    zeebe.stub("shop.hold_stock")
    zeebe.faults.deliver_twice()
'''


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run the tests of a user of plain pyzeebe; return what became of each, with what was said."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "test_plain.py").write_text(OF_PLAIN_PYZEEBE)
    report = folder / "report.xml"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junit-xml={report}", "-q"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.exists(), ran.stdout + ran.stderr
    cases = ET.parse(report).iter("testcase")  # noqa: S314  our own
    return {case.get("name", ""): _told(case) for case in cases}


def _told(case: ET.Element) -> str:
    return (
        "\n".join(f"{part.tag}: {part.get('message', '')}\n{part.text or ''}" for part in case)
        or "passed"
    )


def of(outcomes: dict[str, str], test: str) -> dict[str, str]:
    """The outcomes of one test, by what broke."""
    found = {name: told for name, told in outcomes.items() if name.startswith(f"{test}[")}
    return {name.partition("[")[2].rstrip("]"): told for name, told in found.items()}


def test_each_thing_that_breaks_is_named_in_the_tests_id(outcomes: dict[str, str]) -> None:
    assert [*of(outcomes, "test_careful")] == [kind.name for kind in kinds()]


def test_a_careful_plain_worker_passes_and_the_rest_is_named_as_not_applicable(
    outcomes: dict[str, str],
) -> None:
    for name, told in of(outcomes, "test_careful").items():
        if name.startswith("dies-"):
            assert told.startswith("skipped: ")
            assert "not applicable: a point inside Sagaworks' own runtime" in told
        else:
            assert told == "passed", f"{name}: {told}"


def test_a_forgetful_plain_worker_fails_and_is_told_what_passed(outcomes: dict[str, str]) -> None:
    told = of(outcomes, "test_forgetful")

    failed = [name for name, said in told.items() if said.startswith("failure")]
    assert failed == [
        "delivered-twice",
        "delivered-at-once",
        "delivered-late",
        "under-another-key",
        "report-lost",
    ]
    assert "assert 2 == 1" in told["delivered-twice"]


def test_a_fault_that_never_happened_fails_with_its_seed(outcomes: dict[str, str]) -> None:
    [told] = of(outcomes, "test_nothing_happens").values()

    assert "AssertionError: never happened: delivered twice" in told
    assert "seed 77" in told


def test_faults_asked_for_too_late_are_refused_in_one_line(outcomes: dict[str, str]) -> None:
    told = outcomes["test_asked_for_too_late"]

    assert "zeebe.faults: ask for it before zeebe.work(…) and zeebe.stub(…)" in told
