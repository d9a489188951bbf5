"""Where a server's programs are: on the machine, or in the user's cache."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sagaworks.testing.servers.errors import ServersUnavailableError


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


def programs(wanted: Wanted, cache: Path) -> Programs:
    """Return the server's programs.

    Raises:
        ServersUnavailableError: there are none; says how to get them.
    """
    del cache
    found = on_the_machine(wanted)
    if not found:
        remedy = f"install it, on Debian and Ubuntu: apt-get install {wanted.package}"
        raise ServersUnavailableError(f"no {wanted.name} on this machine: {remedy}")
    return found


def on_the_machine(wanted: Wanted) -> Programs | None:
    """Look in PATH, then where Debian puts it; the newest version there."""
    for main in (shutil.which(wanted.program), *_below(Path("/"), wanted)):
        if main:
            return Programs(Path(main).resolve())
    return None


def _below(root: Path, wanted: Wanted) -> Iterator[Path]:
    found = [path for folder in wanted.folders for path in root.glob(f"{folder}/{wanted.program}")]
    for path in sorted(found, key=_versions, reverse=True):
        if os.access(path, os.X_OK):
            yield path


def _versions(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]
