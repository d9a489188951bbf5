"""Whom a server runs as: PostgreSQL refuses to be root, and a test needs no more than a user."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NOBODY: Final = 65534
"""The number that Linux itself gives to nobody, for a machine that has no such name."""


@dataclass(frozen=True)
class Account:
    """A user without rights, and its group; numbers."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give the file or folder to it."""
        os.chown(path, self.uid, self.gid)


def unprivileged(*preferred: str) -> Account | None:
    """Return who a server runs as: ourselves (None), or, if we are root, the first that exists."""
    if os.geteuid() != 0:
        return None
    for name in (*preferred, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    return Account(_NOBODY, _NOBODY)
