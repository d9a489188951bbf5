"""The real engine, with the Java of this machine."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from sagaworks import engine
from sagaworks.engine import Engine, find_java, supervisor
from sagaworks.engine.distribution import distribution
from sagaworks.engine.startcache import StartCache
from sagaworks.runtime.gateway import connect
from sagaworks.settings import Settings
from tests.engine.conftest import PORTS, real_settings
from tests.engine.test_lifecycle import eventually, is_gone

pytestmark = pytest.mark.engine


def test_it_answers_as_the_version_that_was_asked_for(
    real_engine: tuple[Settings, Engine],
) -> None:
    settings, started = real_engine

    async def version() -> str:
        async with connect(settings) as gateway:
            return await gateway.topology()

    assert asyncio.run(version()) == started.version == settings.engine_version


def test_a_named_cluster_is_used_and_nothing_is_started(
    real_engine: tuple[Settings, Engine], tmp_path: Path
) -> None:
    settings, started = real_engine
    named = replace(settings, data=tmp_path, zeebe_address=started.address)

    found = engine.up(named)

    assert (found.address, found.pid, found.found) == (started.address, None, True)
    assert found.version == started.version
    assert not list(tmp_path.iterdir())


def test_its_threads_sleep_at_once_where_there_is_no_work(
    real_engine: tuple[Settings, Engine],
) -> None:
    _, started = real_engine
    address = f"{started.monitoring}/actuator/configprops/zeebe.actor.idle"
    with urllib.request.urlopen(address, timeout=10) as reply:
        told = json.load(reply)

    ((found,),) = (each["beans"].values() for each in told["contexts"].values())
    # A name that it doesn't know it would pass over in silence.
    assert found["properties"] == {"maxSpins": 1, "maxYields": 1, "minParkPeriod": "PT0.02S"}


def listening(pid: int) -> dict[str, set[str]]:
    """The addresses a process listens on, by protocol; hexadecimal, as the kernel shows them."""
    found: dict[str, set[str]] = {}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        lines = [line.split() for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()]
        waits = {"tcp": "0A", "udp": "07"}[table[:3]]
        open_here = {line[9]: line[1] for line in lines[1:] if line[3] == waits}
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            if address := open_here.get(supervisor._inode(fd)):
                found.setdefault(table[:3], set()).add(address)
    return found


def test_it_listens_on_loopback_only(real_engine: tuple[Settings, Engine]) -> None:
    _, started = real_engine
    pid = started.pid or 0
    loopback = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")

    found = listening(pid)
    assert {int(a.split(":")[1], 16) for a in found["tcp"]} >= set(PORTS.all())
    assert [a for a in found["tcp"] if not a.startswith(loopback)] == []

    # Zeebe binds its gossip to every address; the supervisor ties it to the loopback device.
    ports = {int(a.split(":")[1], 16) for a in found["udp"]}
    assert len(ports) == 1
    for fd in supervisor.descriptors(pid, supervisor._udp_inodes(pid, ports.pop())):
        with supervisor.foreign_socket(pid, fd) as gossip:
            assert gossip.getsockopt(1, 25, 16).rstrip(b"\0") == b"lo"  # SO_BINDTODEVICE
    assert started.loopback_only


def test_it_leaves_no_temporary_file_outside_its_folder(
    real_engine: tuple[Settings, Engine],
) -> None:
    settings, started = real_engine

    links = [str(fd.readlink()) for fd in Path(f"/proc/{started.pid}/fd").iterdir()]
    opened = [link for link in links if link.startswith("/tmp/")]  # noqa: S108

    assert not [link for link in opened if not link.startswith(str(settings.data))]


ATTACHED = """
import sys, time
from pathlib import Path
from sagaworks import engine
from sagaworks.settings import Settings
data, cache, gateway, monitoring, rest = sys.argv[1:]
ports = engine.Ports(int(gateway), int(monitoring), int(rest))
settings = Settings(data=Path(data), engine_cache=Path(cache))
print(engine.up(settings, ports=ports, attached=True, quick=True).ready, flush=True)
time.sleep(600)
"""


@pytest.mark.timeout(300)  # it starts twice, which a loaded machine takes a minute for
def test_it_survives_a_crash_but_not_its_parent(tmp_path: Path) -> None:
    settings = real_settings(tmp_path)
    ports = (PORTS.gateway, PORTS.monitoring, PORTS.rest)
    arguments = (settings.data, settings.engine_cache, *ports)
    with subprocess.Popen(
        [sys.executable, "-c", ATTACHED, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    ) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == "True\n"
            first = engine.status(settings)
            assert first is not None
            second = after_a_crash(settings, first)
        finally:
            parent.kill()

    assert (second.address, second.restarts) == (first.address, 1)
    eventually(lambda: engine.status(settings) is None, 60)
    eventually(lambda: is_gone(first.pid, second.pid, second.supervisor_pid))


def after_a_crash(settings: Settings, first: Engine) -> Engine:
    """Kill Java; return the engine that has come back."""
    os.kill(first.pid or 0, signal.SIGKILL)
    eventually(lambda: (n := engine.status(settings)) and n.ready and n.pid != first.pid, 120)
    second = engine.status(settings)
    assert second is not None
    return second


def test_java_refuses_a_damaged_start_cache_at_once(tmp_path: Path) -> None:
    """What the supervisor relies on when it drops one."""
    usual = Settings.load({})
    java = find_java(usual.engine_cache)
    whole = distribution(usual.engine_cache, usual.engine_version)
    damaged = StartCache(java, whole, tmp_path)
    damaged.file.write_bytes(b"no start cache at all" * 1000)

    command = [java.executable, *damaged.options(), "-version"]
    done = subprocess.run(command, capture_output=True, check=False)

    assert done.returncode != 0
