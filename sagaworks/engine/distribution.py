"""The real Camunda 8 distribution: fetched once, checked, unpacked into the user's cache."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from sagaworks.engine.java import check_room
from sagaworks.engine.locks import exclusive
from sagaworks.errors import ConfigurationError, EngineError

Progress = Callable[[int, int], None]
"""Told the bytes fetched so far, and how many there are."""
Note = Callable[[str], None]
"""Told what a person may want to know, a line at a time."""

GROUP, ARTIFACT, PACKAGING = "io.camunda", "camunda-zeebe", "tar.gz"
# The archive of 8.6.0 has 299 MB and unpacks to as much again.
ROOM_BYTES = 700_000_000
_SILENCE_SECONDS = 60  # of the repository, before it counts as gone
_TRIES = 2
_LOG_SETTINGS = Path(__file__).with_name("log4j2.xml")
_JAR_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Distribution:
    """One unpacked version of the engine."""

    version: str
    folder: Path

    @classmethod
    def of(cls, cache: Path, version: str) -> Self:
        """Name the one in this cache, which may not be there yet."""
        return cls(version, cache / f"engine-{version}")

    def class_path(self) -> list[Path]:
        """Jars only and always in the same order: a start cache holds for one class path."""
        return [self._configuration(), *sorted((self.folder / "lib").glob("*.jar"))]

    def is_whole(self) -> bool:
        """Tell whether every file that was unpacked is still there, as long as it was."""
        try:
            sizes = json.loads((self.folder / "files.json").read_text())
            return all((self.folder / name).stat().st_size == size for name, size in sizes.items())
        except (OSError, ValueError, AttributeError):
            return False

    def _configuration(self) -> Path:
        """The configuration as a jar, with our log settings; made once for each content."""
        files = {
            file.name: file.read_bytes()
            for file in sorted((self.folder / "config").glob("*"))
            if file.suffix in {".yaml", ".yml", ".properties", ".xml"}
        }
        files["log4j2.xml"] = _LOG_SETTINGS.read_bytes()
        digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:8]
        jar = self.folder / f"config-{digest}.jar"
        if not jar.exists():
            _write_jar(jar, files)
        return jar


def distribution(
    cache: Path, version: str, progress: Progress | None = None, on_note: Note | None = None
) -> Distribution:
    """Return the unpacked distribution, fetching it if it isn't there or isn't whole.

    What is in the cache needs no network.

    Raises:
        ConfigurationError: it must be fetched and `jgo` is missing.
        EngineError: it can't be fetched; says why and what to do.
    """
    note = on_note or (lambda _: None)
    wanted = Distribution.of(cache, version)
    if wanted.is_whole():
        return wanted
    _make(cache)
    with exclusive(cache / "fetch.lock", lambda: note("another process fetches the engine")):
        if not wanted.is_whole():
            if wanted.folder.exists():
                note(f"the engine in {wanted.folder} is damaged: fetching it again")
            _install(wanted, cache, progress or (lambda *_: None), note)
    return wanted


def _make(cache: Path) -> None:
    if ":" in str(cache):
        raise EngineError(f"{cache}: Java takes no colon in a path; SAGAWORKS_CACHE names another")
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"{cache}: {error.strerror}; SAGAWORKS_CACHE names another") from error


def _install(wanted: Distribution, cache: Path, progress: Progress, note: Note) -> None:
    for leftover in cache.glob(".fetch-*"):  # of a process that was killed: we have the lock
        shutil.rmtree(leftover, ignore_errors=True)
    check_room(cache, ROOM_BYTES, "the engine")
    note(f"fetching Camunda 8 Zeebe {wanted.version}, about 300 MB, once, into {cache}")
    with (
        tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as draft,
        _explained(wanted, cache),
    ):
        archive = _fetch(Path(draft), wanted.version, progress, note)
        unpacked = Path(draft) / "engine"
        unpack(archive, unpacked)
        shutil.rmtree(wanted.folder, ignore_errors=True)
        unpacked.rename(wanted.folder)


@contextmanager
def _explained(wanted: Distribution, cache: Path) -> Iterator[None]:
    """Turn what a network or a disk can do into one line."""
    what = f"the engine ({GROUP}:{ARTIFACT} {wanted.version}, about 300 MB)"
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise EngineError(f"{what} can't be unpacked: {error}; try again") from error
    except OSError as error:  # those of requests, which jgo uses, are OSErrors too
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            check = f"{ROOM_BYTES / 1e6:.0f} MB needed; free some, or set SAGAWORKS_CACHE"
            raise EngineError(f"no room for {what} in {cache}: {check}") from error
        raise EngineError(
            f"{what} can't be fetched: {_reason(error)}; connect to the network (HTTPS_PROXY is "
            "honoured) and try again, or set ZEEBE_ADDRESS (of make: ENGINE) to a cluster that runs"
        ) from error


def _reason(error: BaseException) -> str:
    """Say the innermost cause: requests wraps it three times."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return " ".join(str(error).split()) or type(error).__name__


def _fetch(draft: Path, version: str, progress: Progress, note: Note) -> Path:
    """Fetch the archive and compare its checksum; once more if it came damaged."""
    for attempt in range(_TRIES):
        repository = draft / f"repository-{attempt}"
        component = _component(repository, version, progress)
        wanted = _resolve(component, f"{PACKAGING}.sha1", version).read_text().split()[0]
        archive = _resolve(component, PACKAGING, version)
        if _sha1(archive) == wanted.lower():
            return archive
        note("the engine arrived damaged (wrong checksum)")
        shutil.rmtree(repository)
    raise EngineError(
        f"the engine {version} arrived damaged {_TRIES} times (wrong SHA-1): try again later, "
        "or look at what your proxy does to downloads"
    )


def _component(repository: Path, version: str, progress: Progress) -> Any:  # noqa: ANN401  jgo is untyped
    """Look it up in an empty repository of our own: jgo takes a short file of its own for whole.

    Raises:
        ConfigurationError: `jgo` is missing.
    """
    try:
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415  an extra
    except ImportError as error:
        missing = "the engine is fetched with jgo, which is missing"
        raise ConfigurationError(f"{missing}: pip install 'sagaworks[engine]'") from error

    @contextmanager
    def watch(_name: str, total: int) -> Iterator[Callable[[int], None]]:
        done = 0

        def add(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total)

        yield add

    resolver = PythonResolver(progress_callback=watch)
    context = MavenContext(resolver, repo_cache=repository, timeout=_SILENCE_SECONDS)
    return context.project(GROUP, ARTIFACT).at_version(version)


def _resolve(component: Any, packaging: str, version: str) -> Path:  # noqa: ANN401  jgo is untyped
    try:
        return Path(component.artifact(packaging=packaging).resolve())
    except RuntimeError as error:
        raise EngineError(
            f"the Maven repository gives no {GROUP}:{ARTIFACT}:{version}: set "
            "SAGAWORKS_ENGINE_VERSION to a released version, such as 8.6.0, or try again later"
        ) from error


def _sha1(file: Path) -> str:
    """Maven's repositories publish SHA-1: it finds damage, TLS keeps strangers out."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack jars, configuration and licences, and note down their sizes as the last thing."""
    # Pythons before 3.11.4 lack the filter; `_wanted` lets only plain files through anyway.
    safe: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as tar:
        members = [member for member in tar if _wanted(member)]
        tar.extractall(folder, members, **safe)  # noqa: S202  only members that `_wanted` checked
    sizes = {member.name: member.size for member in members}
    if not any(name.startswith("lib/") for name in sizes):
        raise tarfile.TarError("no lib folder in it")
    (folder / "files.json").write_text(json.dumps(sizes))


def _wanted(member: tarfile.TarInfo) -> bool:
    """Take plain files at places known beforehand; drops the archive's top folder from the name."""
    path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
    known = path.parts[:1] in {("lib",), ("config",)} or path.suffix == ".txt"
    member.name = str(path)
    return member.isreg() and known and ".." not in path.parts


def _write_jar(jar: Path, files: dict[str, bytes]) -> None:
    draft = jar.with_suffix(".draft")
    with zipfile.ZipFile(draft, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _JAR_TIME), content)
    draft.replace(jar)
