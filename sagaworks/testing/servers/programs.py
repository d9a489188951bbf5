"""Where a server's programs are: on the machine, or in the user's cache."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sagaworks.engine.locks import exclusive
from sagaworks.errors import SagaworksError
from sagaworks.testing.servers.apt import Apt
from sagaworks.testing.servers.errors import ServerError, ServersUnavailableError

Note = Callable[[str], None]
"""Told what a person may want to know, a line at a time."""

_LIBRARY: Final = re.compile(r"lib(?!c6|c-bin|llvm|perl).*(?<!-perl)")
"""Packages with what a server program is linked to.

Not the C library, which fits the loader of its own system only, nor a compiler for queries.
"""

_LIBRARIES: Final = ("usr/lib/*/*.so.*", "lib/*/*.so.*")


@dataclass(frozen=True)
class Wanted:
    """A server that is looked for.

    Attributes:
        name: as people write it.
        program: its main one.
        folders: where Debian and its like keep it, outside of PATH; patterns below the root.
        package: Debian's package that asks for whichever version the system has.
        core: a pattern of the package that holds the programs, and nothing that starts by itself.
    """

    name: str
    program: str
    folders: tuple[str, ...]
    package: str
    core: str


@dataclass(frozen=True)
class Programs:
    """A server's programs: all in the folder of the main one, or found from there.

    Attributes:
        main: the main program, links followed.
        libraries: folders of shared libraries that the system doesn't know.
    """

    main: Path
    libraries: tuple[Path, ...] = ()

    def beside(self, name: str) -> Path:
        """Return the program of that name in the same folder."""
        return self.main.with_name(name)

    def environment(self) -> dict[str, str]:
        """Return all that a server program should know of its surroundings."""
        known = {"PATH": f"{self.main.parent}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        found = {"LD_LIBRARY_PATH": ":".join(map(str, self.libraries))} if self.libraries else {}
        return known | found


def programs(wanted: Wanted, cache: Path, note: Note) -> Programs:
    """Return the server's programs: the machine's, else those in the cache, else fetched now.

    Root has the system's packages installed; everybody else gets them unpacked into the cache.

    Raises:
        ServersUnavailableError: there are none, and they can't be had; says what to do.
    """
    folder = cache / "servers"
    found = on_the_machine(wanted) or in_the_cache(wanted, folder)
    if found:
        return found
    if not Apt.exists():
        why = f"no {wanted.name} on this machine, and no apt-get to fetch it with"
        remedy = f"install {wanted.name} as your system does, with `{wanted.program}` in PATH"
        raise ServersUnavailableError(f"{why}: {remedy}")
    try:
        with exclusive(folder / "fetch.lock", lambda: note("another process fetches a server")):
            found = in_the_cache(wanted, folder) or _fetched(wanted, folder, note)
    except (SagaworksError, OSError) as error:
        why = f"no {wanted.name} on this machine, and it can't be fetched ({error})"
        remedy = f"connect to the network, or install it: apt-get install {wanted.package}"
        raise ServersUnavailableError(f"{why}: {remedy}") from error
    return found


def on_the_machine(wanted: Wanted) -> Programs | None:
    """Look in PATH, then where Debian puts it; the newest version there."""
    for main in (shutil.which(wanted.program), *_below(Path("/"), wanted)):
        if main:
            return Programs(Path(main).resolve())
    return None


def in_the_cache(wanted: Wanted, folder: Path) -> Programs | None:
    """Look for what an earlier call has unpacked."""
    root = folder / wanted.package
    for main in _below(root, wanted):
        libraries = {file.parent for place in _LIBRARIES for file in root.glob(place)}
        return Programs(main, tuple(sorted(libraries)))
    return None


def _fetched(wanted: Wanted, folder: Path, note: Note) -> Programs:
    apt = Apt(folder / "apt")
    try:
        _get(wanted, apt, folder, note)
    except ServerError:  # the lists are missing, or older than the mirror
        note(f"{wanted.name}: fetching the lists of packages")
        _refresh_and_get(wanted, apt, folder, note)
    found = on_the_machine(wanted) or in_the_cache(wanted, folder)
    if not found:
        raise ServerError(f"its packages hold no program {wanted.program}")
    return found


def _refresh_and_get(wanted: Wanted, apt: Apt, folder: Path, note: Note) -> None:
    """Go on if not all lists can be had: one may be enough, or it's a hook for root that fails."""
    missing: ServerError | None = None
    try:
        apt.refresh()
    except ServerError as error:
        missing = error
    try:
        _get(wanted, apt, folder, note)
    except ServerError as error:
        raise (missing or error) from error


def _get(wanted: Wanted, apt: Apt, folder: Path, note: Note) -> None:
    planned = apt.plan(wanted.package)
    core = [package for package in planned if re.fullmatch(wanted.core, package.name)]
    if not core:
        raise ServerError(f"the package {wanted.package} brings no {wanted.core}")
    if os.geteuid() == 0:
        note(f"{wanted.name}: installing {core[0].name} {core[0].version}; nothing is started")
        apt.install(core)
        return
    for leftover in folder.glob(".fetch-*"):  # of a process that was killed: we have the lock
        shutil.rmtree(leftover, ignore_errors=True)
    needed = [*core, *(package for package in planned if _LIBRARY.fullmatch(package.name))]
    size = apt.size(needed) / 1e6
    note(f"{wanted.name}: fetching {len(needed)} packages, {size:.0f} MB, once, into {folder}")
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as draft:
        apt.unpack(needed, Path(draft) / "root")
        shutil.rmtree(folder / wanted.package, ignore_errors=True)
        (Path(draft) / "root").rename(folder / wanted.package)


def _below(root: Path, wanted: Wanted) -> Iterator[Path]:
    found = [path for folder in wanted.folders for path in root.glob(f"{folder}/{wanted.program}")]
    for path in sorted(found, key=_versions, reverse=True):
        if os.access(path, os.X_OK) or ".so" in path.suffixes:
            yield path


def _versions(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]
