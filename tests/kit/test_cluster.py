"""Tests on a cluster that someone else runs: here a broker of our own plays it."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sagaworks.engine import local
from sagaworks.settings import Settings
from sagaworks.testing.broker.receiver import exporter_settings
from tests.kit.test_plugin import DIAGRAM, STUBBED, run

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

CLOCK = """
import pytest
from datetime import timedelta

@pytest.mark.zeebe_clock
def test_days(zeebe):
    zeebe.advance(timedelta(days=3))
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A broker whose exporter sends to a port of ours: its address, and the port."""
    port = free_port()
    plain = Settings.load({})
    settings = replace(plain, data=tmp_path_factory.mktemp("cluster"), zeebe_address=None)
    more = exporter_settings(f"http://127.0.0.1:{port}")
    engine = local.up(settings, attached=True, quick=True, more_settings=more)
    try:
        yield engine.address, port
    finally:
        local.down(settings, train=False)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "greet.bpmn").write_text(DIAGRAM)
    return tmp_path


def test_the_same_tests_run_on_a_cluster(suite: Path, cluster: tuple[str, int]) -> None:
    address, port = cluster

    code, said = run(suite, STUBBED, f"--zeebe={address}", f"--zeebe-receiver={port}")

    assert code == 0, said
    assert "is Zeebe 8.6.0" in said


def test_a_test_that_moves_the_clock_is_named_as_not_run(
    suite: Path, cluster: tuple[str, int]
) -> None:
    address, port = cluster

    code, said = run(suite, CLOCK, f"--zeebe={address}", f"--zeebe-receiver={port}", "-rs")

    assert code == 0, said
    assert f"moves the clock, which {address} can't" in said


def test_a_cluster_that_sends_nothing_is_said_to(suite: Path, cluster: tuple[str, int]) -> None:
    test = STUBBED.replace("saga.assert_completed()", "saga.wait(within=1)")

    code, said = run(suite, test, f"--zeebe={cluster[0]}", f"--zeebe-receiver={free_port()}")

    assert code == 1
    assert "has sent no record: give it the exporter io.camunda.zeebe.exporter" in said
