"""The engine's jars: fetched once onto this machine, each compared with its checksum."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from sagaworks.engine.java import check_room
from sagaworks.engine.locks import exclusive
from sagaworks.errors import ConfigurationError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION: Final = "8.8.21"
"""The engine's, and its test kit's."""

_LOCK: Final = Path(__file__).with_name("jars.lock")
_HOST: Final = Path(__file__).with_name("host")
_ROOM_BYTES: Final = 60_000_000
_SILENCE_SECONDS: Final = 60
_AT_ONCE: Final = 8


@dataclass(frozen=True)
class Jar:
    """One jar of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @classmethod
    def read(cls, line: str) -> Self:
        """Read ``group:artifact:version sha256``."""
        coordinates, sha256 = line.split()
        group, artifact, version = coordinates.split(":")
        return cls(group, artifact, version, sha256)

    @property
    def file_name(self) -> str:
        """As Maven names it."""
        return f"{self.artifact}-{self.version}.jar"

    def is_whole(self, folder: Path) -> bool:
        """Tell whether the jar is in the folder, bit by bit."""
        return _sha256(folder / self.file_name) == self.sha256


def locked_jars() -> list[Jar]:
    """Return the jars that the lock names."""
    lines = _LOCK.read_text(encoding="utf-8").splitlines()
    return [Jar.read(line) for line in lines if line and not line.startswith("#")]


def class_path(cache: Path, note: Callable[[str], None]) -> str:
    """Return Java's class path, after fetching what isn't in the cache or isn't whole.

    What is in the cache needs no network.

    Raises:
        ConfigurationError: something must be fetched and `jgo` is missing.
        EngineError: it can't be fetched; says why and what to do.
    """
    folder, jars = cache / f"embedded-{VERSION}", locked_jars()
    if _missing(jars, folder):
        with exclusive(cache / "jars.lock", lambda: note("another process fetches the engine")):
            if missing := _missing(jars, folder):
                _fetch_all(missing, folder, note)
    return ":".join([str(_host_jar(folder)), *(str(folder / jar.file_name) for jar in jars)])


def _host_jar(folder: Path) -> Path:
    """Our own classes as a jar, made once for each content: a start cache takes jars only."""
    classes = {file.name: file.read_bytes() for file in sorted(_HOST.glob("*.class"))}
    digest = hashlib.sha256(repr(classes).encode()).hexdigest()[:8]
    jar = folder / f"host-{digest}.jar"
    if not jar.exists():
        draft = jar.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(draft, "w") as archive:
            for name, content in classes.items():
                archive.writestr(zipfile.ZipInfo(name), content)
        draft.replace(jar)
    return jar


def _missing(jars: list[Jar], folder: Path) -> list[Jar]:
    return [jar for jar in jars if not jar.is_whole(folder)]


def _sha256(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def _fetch_all(missing: list[Jar], folder: Path, note: Callable[[str], None]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    check_room(folder, _ROOM_BYTES, "the test engine")
    what = f"the test engine (Zeebe {VERSION}, {len(missing)} jars)"
    note(f"fetching {what}, once, into {folder}")
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as draft:
        try:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(lambda jar: _fetch(jar, Path(draft), folder), missing))
        except OSError as error:  # those of requests, which jgo uses, are OSErrors too
            raise EngineError(
                f"{what} can't be fetched: {_reason(error)}; connect to the network (HTTPS_PROXY "
                "is honoured) and try again, or run with --zeebe=HOST:PORT on a cluster that runs"
            ) from error


def _fetch(jar: Jar, draft: Path, folder: Path) -> None:
    fetched = _resolve(jar, draft / jar.file_name)
    if _sha256(fetched) != jar.sha256:
        raise EngineError(
            f"{jar.group}:{jar.artifact} {jar.version} arrived with another SHA-256 than the lock "
            "has: look at what your proxy does to downloads, and try again"
        )
    os.replace(fetched, folder / jar.file_name)  # noqa: PTH105  over a damaged one


def _resolve(jar: Jar, repository: Path) -> Path:
    """Fetch into an empty repository of its own: jgo takes a short file for whole."""
    try:
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415  an extra
    except ImportError as error:
        missing = "the test engine is fetched with jgo, which is missing"
        raise ConfigurationError(f"{missing}: pip install 'sagaworks[testing]'") from error
    context = MavenContext(PythonResolver(), repo_cache=repository, timeout=_SILENCE_SECONDS)
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    return Path(component.artifact(packaging="jar").resolve())


def _reason(error: BaseException) -> str:
    """Say the innermost cause: requests wraps it three times."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return " ".join(str(error).split()) or type(error).__name__
