"""The distribution is fetched once and whole, by the real jgo, from a repository on loopback."""

import hashlib
import io
import logging
import socket
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sagaworks.engine import distribution as distributions
from sagaworks.engine.distribution import Distribution, distribution, unpack
from sagaworks.errors import ConfigurationError, EngineError

TOP = "camunda-zeebe-8.6.0"
BASE = "/io/camunda/camunda-zeebe/8.6.0/camunda-zeebe-8.6.0.tar.gz"


def archive(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


GOOD = archive(
    {
        f"{TOP}/lib/b.jar": b"bb",
        f"{TOP}/lib/a.jar": b"a" * 50_000,
        f"{TOP}/config/application.yaml": b"zeebe: {}",
        f"{TOP}/config/log4j2.xml": b"<theirs/>",
        f"{TOP}/CAMUNDA-LICENSE-1.0.txt": b"read me",
        f"{TOP}/bin/broker": b"#!/bin/sh",
    }
)


@dataclass
class Repository:
    """A Maven repository: each answer is given once, the last one for ever."""

    answers: list[bytes] = field(default_factory=lambda: [GOOD])
    checksum: str = hashlib.sha1(GOOD).hexdigest()  # noqa: S324  what Maven uses
    cut_short: bool = False
    requests: list[str] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                repository.requests.append(self.path)
                if self.path == f"{BASE}.sha1":
                    self.answer(repository.checksum.encode())
                elif self.path == BASE:
                    rest = repository.answers
                    self.answer(rest.pop(0) if len(rest) > 1 else rest[0])
                else:
                    self.send_error(404)

            def answer(self, content: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                is_cut = repository.cut_short and self.path == BASE
                self.wfile.write(content[: len(content) // 2] if is_cut else content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    served = Repository()
    server = ThreadingHTTPServer(("127.0.0.1", 0), served.handler())
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("jgo.maven._core.DEFAULT_REMOTE_REPOS", {"test": url})
    logging.getLogger("jgo").setLevel(logging.CRITICAL)
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_it_is_fetched_unpacked_and_whole(tmp_path: Path, repository: Repository) -> None:
    told: list[tuple[int, int]] = []

    found = distribution(tmp_path, "8.6.0", lambda *both: told.append(both))

    assert found.is_whole()
    assert told[-1] == (len(GOOD), len(GOOD))
    assert (found.folder / "CAMUNDA-LICENSE-1.0.txt").exists()
    assert names(tmp_path) == {"engine-8.6.0", "fetch.lock"}


def test_the_class_path_is_jars_only_and_always_the_same(
    tmp_path: Path, repository: Repository
) -> None:
    found = distribution(tmp_path, "8.6.0")

    assert all(path.suffix == ".jar" and path.is_file() for path in found.class_path())
    assert [path.name for path in found.class_path()[1:]] == ["a.jar", "b.jar"]
    assert found.class_path() == distribution(tmp_path, "8.6.0").class_path()


def test_what_is_in_the_cache_needs_no_network(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "8.6.0")
    monkeypatch.setitem(sys.modules, "jgo.maven", None)
    asked = len(repository.requests)

    assert distribution(tmp_path, "8.6.0").is_whole()
    assert len(repository.requests) == asked


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda folder: (folder / "lib" / "a.jar").write_bytes(b"a"), id="short file"),
        pytest.param(lambda folder: (folder / "lib" / "b.jar").unlink(), id="missing file"),
        pytest.param(lambda folder: (folder / "files.json").unlink(), id="never finished"),
        pytest.param(lambda folder: (folder / "files.json").write_text("[]"), id="damaged list"),
    ],
)
def test_a_damaged_cache_is_noticed_and_fetched_again(
    tmp_path: Path, repository: Repository, damage: Callable[[Path], object]
) -> None:
    damage(distribution(tmp_path, "8.6.0").folder)
    notes: list[str] = []

    found = distribution(tmp_path, "8.6.0", on_note=notes.append)

    assert found.is_whole()
    assert repository.requests.count(BASE) == 2
    assert "damaged: fetching it again" in notes[0]


def test_a_damaged_download_is_fetched_once_more(tmp_path: Path, repository: Repository) -> None:
    repository.answers = [GOOD[:-100] + b"x" * 100, GOOD]
    notes: list[str] = []

    assert distribution(tmp_path, "8.6.0", on_note=notes.append).is_whole()
    assert notes[-1] == "the engine arrived damaged (wrong checksum)"


def test_a_download_damaged_each_time_is_refused(tmp_path: Path, repository: Repository) -> None:
    repository.answers = [GOOD[:-100] + b"x" * 100]

    with pytest.raises(EngineError, match="arrived damaged 2 times"):
        distribution(tmp_path, "8.6.0")
    assert names(tmp_path) == {"fetch.lock"}


def test_an_interrupted_download_leaves_nothing_that_counts(
    tmp_path: Path, repository: Repository
) -> None:
    repository.cut_short = True
    with pytest.raises(EngineError, match="can't be fetched"):
        distribution(tmp_path, "8.6.0")
    assert names(tmp_path) == {"fetch.lock"}

    repository.cut_short = False
    assert distribution(tmp_path, "8.6.0").is_whole()


def test_what_a_killed_fetch_left_behind_is_removed(tmp_path: Path, repository: Repository) -> None:
    (tmp_path / ".fetch-old").mkdir()
    (tmp_path / ".fetch-old" / "half.tar.gz").write_bytes(b"half")

    distribution(tmp_path, "8.6.0")

    assert names(tmp_path) == {"engine-8.6.0", "fetch.lock"}


def test_two_at_once_fetch_once(tmp_path: Path, repository: Repository) -> None:
    threads = [threading.Thread(target=distribution, args=(tmp_path, "8.6.0")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert repository.requests.count(BASE) == 1


def test_a_version_that_does_not_exist_is_one_clear_line(
    tmp_path: Path, repository: Repository
) -> None:
    with pytest.raises(
        EngineError, match=r"gives no .*camunda-zeebe:9\.9\.9: set SAGAWORKS_ENGINE_VER"
    ):
        distribution(tmp_path, "9.9.9")


def test_no_network_says_so_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr(
        "jgo.maven._core.DEFAULT_REMOTE_REPOS", {"test": "http://repository.invalid"}
    )

    with pytest.raises(EngineError) as raised:
        distribution(tmp_path, "8.6.0")
    assert "name resolution" in str(raised.value)
    assert "ZEEBE_ADDRESS" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_no_room_is_said_before_anything_is_fetched(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributions, "ROOM_BYTES", 10**18)

    with pytest.raises(EngineError, match=r"no room for the engine in .* needed, .* free"):
        distribution(tmp_path, "8.6.0")
    assert not repository.requests


def test_a_disk_that_fills_up_meanwhile_is_one_clear_line(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(distributions, "unpack", full)

    with pytest.raises(EngineError, match=r"no room for the engine .* SAGAWORKS_CACHE"):
        distribution(tmp_path, "8.6.0")


def test_a_cache_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(EngineError, match="SAGAWORKS_CACHE"):
        distribution(tmp_path / "file" / "cache", "8.6.0")


def test_without_jgo_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jgo.maven", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'sagaworks\[engine\]'"):
        distribution(tmp_path, "8.6.0")


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "evil.tar.gz"
    file.write_bytes(
        archive(
            {
                f"{TOP}/lib/good.jar": b"good",
                f"{TOP}/lib/../../../escaped.jar": b"evil",
                "/lib/absolute.jar": b"evil",
                f"{TOP}//etc/passwd": b"evil",
            }
        )
    )

    unpack(file, tmp_path / "deep" / "unpacked")

    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    inside = {
        f"deep/unpacked/{name}" for name in ("lib/good.jar", "lib/absolute.jar", "files.json")
    }
    assert found == {"evil.tar.gz", *inside}


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.tar.gz"
    file.write_bytes(archive({"other/readme.txt": b"hello"}))

    with pytest.raises(tarfile.TarError, match="no lib folder"):
        unpack(file, tmp_path / "unpacked")
    assert not Distribution("8.6.0", tmp_path / "unpacked").is_whole()
