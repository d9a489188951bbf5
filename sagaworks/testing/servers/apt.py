"""Debian's packages: what a server needs of them, fetched and unpacked, or installed by root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sagaworks.testing.servers.errors import ServerError

PROGRAMS: Final = ("apt-get", "dpkg-deb")
_WITHIN_SECONDS: Final = 900
_PATIENCE: Final = ("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20")
_PLANNED: Final = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", re.MULTILINE)
_URI: Final = re.compile(r"^'[^']+' \S+ (\d+)", re.MULTILINE)

_POLICY: Final = Path("/usr/sbin/policy-rc.d")
_CLUSTERS: Final = Path("/etc/postgresql-common/createcluster.conf")


@dataclass(frozen=True)
class Package:
    """One package in one version."""

    name: str
    version: str

    def __str__(self) -> str:
        """Say it as apt-get takes it."""
        return f"{self.name}={self.version}"


class Apt:
    """apt-get, as root or as anybody.

    Args:
        own: a folder for package lists of our own, for who may not refresh the system's.
    """

    def __init__(self, own: Path) -> None:
        """Use the system's lists until `refresh`."""
        self._own = own
        self._options: list[str] = list(_PATIENCE)

    @staticmethod
    def exists() -> bool:
        """Tell whether this is Debian or its like."""
        return all(shutil.which(program) for program in PROGRAMS)

    def plan(self, package: str) -> list[Package]:
        """Return what installing the package would bring; nothing that is there already.

        Raises:
            ServerError: the lists don't know it.
        """
        said = self._run("install", "--simulate", "--no-install-recommends", package)
        return [Package(*found) for found in _PLANNED.findall(said)]

    def refresh(self) -> None:
        """Fetch the package lists: root the system's, others into a folder of ours.

        Raises:
            ServerError: one of them can't be had.
        """
        if os.geteuid() != 0:
            for folder in ("state/lists/partial", "cache/archives/partial"):
                (self._own / folder).mkdir(parents=True, exist_ok=True)
            self._options += ["-o", f"Dir::State={self._own}/state"]
            self._options += ["-o", f"Dir::Cache={self._own}/cache"]
            self._options += ["-o", "Dir::State::status=/var/lib/dpkg/status"]
        self._run("update", "-o", "APT::Update::Error-Mode=any")

    def size(self, packages: Sequence[Package]) -> int:
        """Return how many bytes must be fetched."""
        said = self._run("download", "--print-uris", *map(str, packages))
        return sum(map(int, _URI.findall(said)))

    def unpack(self, packages: Sequence[Package], folder: Path) -> None:
        """Fetch the packages, compared with the signed lists, and unpack them below the folder.

        Raises:
            ServerError: one can't be had.
        """
        archives = folder.with_name("archives")
        archives.mkdir(parents=True)
        self._run("download", *map(str, packages), cwd=archives)
        for archive in sorted(archives.glob("*.deb")):
            _checked(["dpkg-deb", "--extract", str(archive), str(folder)])
        shutil.rmtree(archives)

    def install(self, packages: Sequence[Package]) -> None:
        """Install the packages for everybody; nothing is removed, and no server started.

        Raises:
            ServerError: it doesn't work.
        """
        quiet = ["-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=300"]
        careful = ["--yes", "--no-remove", "--no-install-recommends"]
        with _nothing_started():
            self._run("install", *quiet, *careful, *map(str, packages))

    def _run(self, *arguments: str, cwd: Path | None = None) -> str:
        return _checked(["apt-get", "--quiet", *self._options, *arguments], cwd)


@contextmanager
def _nothing_started() -> Iterator[None]:
    """Keep Debian from making a PostgreSQL of its own and from starting it.

    Source: invoke-rc.d(8) for policy-rc.d, pg_createcluster(1) for createcluster.conf.
    """
    with (
        _for_a_while(_POLICY, "#!/bin/sh\nexit 101\n", 0o755),
        _for_a_while(_CLUSTERS, "create_main_cluster = false\n", 0o644),
    ):
        yield


@contextmanager
def _for_a_while(file: Path, text: str, mode: int) -> Iterator[None]:
    """Write the file, unless the machine's owner has one, and remove it in the end."""
    if file.exists():
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _checked(command: Sequence[str], cwd: Path | None = None) -> str:
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        started = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # a Ctrl-C isn't for it
        )
    except OSError as error:
        raise ServerError(f"{command[0]}: {error}") from error
    said, complained = _to_the_end(started)
    if started.returncode:
        raise ServerError(f"{command[0]}: {_last_error(complained)}")
    return said


def _to_the_end(started: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for it even when told to stop: dpkg must not be interrupted in the middle."""
    try:
        return started.communicate(timeout=_WITHIN_SECONDS)
    except subprocess.TimeoutExpired as error:
        started.kill()
        started.communicate()
        raise ServerError(f"{error.cmd[0]} takes more than {_WITHIN_SECONDS} s") from error
    except BaseException:
        started.communicate()
        raise


def _last_error(said: str) -> str:
    lines = [line.removeprefix("E: ") for line in said.splitlines() if line.startswith("E: ")]
    return next(iter(lines or said.strip().splitlines()[-1:]), "failed")
