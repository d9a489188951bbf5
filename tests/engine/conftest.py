"""A Java that is none, an engine that is none, and the real ones."""

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagaworks import engine
from sagaworks.engine import Engine, Java, Ports
from sagaworks.engine.distribution import Distribution
from sagaworks.settings import Settings

FAKE_JAVA = Path(__file__).with_name("fake_java.py")
# Away from what else may run on the machine.
PORTS = Ports(28700, 12700, 11700)
FAKE_PORTS = Ports(29700, 13700, 14700)


class FakeJava(Java):
    """A small Python program that starts, answers and ends like the engine, as it's told."""

    def behaves(self, **behaviour: Any) -> None:
        (self.home / "behaviour.json").write_text(json.dumps(behaviour))

    def starts(self) -> list[list[str]]:
        """The arguments of each start so far."""
        file = self.home / "starts"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def write_java(home: Path, version: str = "25.0.9", *, runs: bool = True) -> Path:
    """Write a folder that looks like a Java's."""
    (home / "bin").mkdir(parents=True)
    (home / "release").write_text(f'JAVA_VERSION="{version}"\n')
    if runs:
        program = home / "bin" / "java"
        program.write_text(f"#!{sys.executable} -I\n" + FAKE_JAVA.read_text())
        program.chmod(0o755)
    return home


@pytest.fixture
def java(tmp_path: Path) -> FakeJava:
    return FakeJava(write_java(tmp_path / "jdk"), 25, "Fake-25.0.9+1")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A user's cache with an engine in it."""
    folder = tmp_path / "cache"
    unpacked = folder / "engine-8.6.0"
    files = {"lib/a.jar": b"a", "config/application.yaml": b"zeebe: {}"}
    for name, content in files.items():
        (unpacked / name).parent.mkdir(parents=True)
        (unpacked / name).write_bytes(content)
    sizes = {name: len(content) for name, content in files.items()}
    (unpacked / "files.json").write_text(json.dumps(sizes))
    assert Distribution.of(folder, "8.6.0").is_whole()
    return folder


@pytest.fixture
def settings(tmp_path: Path, cache: Path) -> Iterator[Settings]:
    """Settings with folders of their own; what was started there is ended."""
    own = Settings(data=tmp_path / "data", engine_cache=cache)
    yield own
    engine.down(own, train=False)


def real_settings(data: Path) -> Settings:
    """Settings with the user's own cache, so that nobody fetches the engine twice."""
    usual = Settings.load({})
    return Settings(data=data, engine_cache=usual.engine_cache)


@pytest.fixture(scope="session")
def real_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Engine]]:
    """One real engine for all tests that only look."""
    own = real_settings(tmp_path_factory.mktemp("engine"))
    try:
        yield own, engine.up(own, attached=True, quick=True, ports=PORTS)
    finally:
        engine.down(own, train=False)


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that something listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]
