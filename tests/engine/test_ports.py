"""Free ports are found, and no two engines choose the same."""

import socket

import pytest

from sagaworks.engine.ports import Ports, is_free, reserved_ports
from sagaworks.errors import EngineError
from tests.engine.conftest import FAKE_PORTS


def test_the_usual_ports_are_taken_when_they_are_free() -> None:
    with reserved_ports(FAKE_PORTS) as (ports, _):
        assert ports == FAKE_PORTS


@pytest.mark.parametrize("which", ["gateway", "command", "cluster", "monitoring", "rest"])
def test_a_taken_port_moves_them_all(which: str) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", getattr(FAKE_PORTS, which)))
        other.listen()
        with reserved_ports(FAKE_PORTS) as (ports, _):
            assert ports == FAKE_PORTS.moved(1)


def test_a_taken_udp_port_counts_too() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", FAKE_PORTS.cluster))  # noqa: S104  as Zeebe's gossip does

        assert FAKE_PORTS.taken() == [FAKE_PORTS.cluster]


def test_two_that_start_at_once_get_different_ports() -> None:
    with (
        reserved_ports(FAKE_PORTS) as (first, _),
        reserved_ports(FAKE_PORTS) as (second, _),
    ):
        assert not set(first.all()) & set(second.all())


def test_no_free_port_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ports, "taken", lambda _: [1])

    with (
        pytest.raises(EngineError, match=r"no free ports on 127\.0\.0\.1 from 29700"),
        reserved_ports(FAKE_PORTS),
    ):
        pass


def test_a_port_someone_listens_on_is_not_free(taken_port: int) -> None:
    assert not is_free(taken_port)
