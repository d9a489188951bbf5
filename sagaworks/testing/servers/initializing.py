"""Programs that make a server's first data: run as its account, to their end."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from sagaworks.testing.servers.account import Account
from sagaworks.testing.servers.errors import ServerError

_WITHIN_SECONDS: Final = 120
_LINES: Final = 3
"""Last lines of what a program said that are shown when it has failed."""


def run(
    command: Sequence[str], environment: Mapping[str, str], account: Account | None, text: str
) -> None:
    """Run the command; `text` is its standard input.

    Raises:
        ServerError: it fails; with the end of what it said.
    """
    try:
        done = subprocess.run(
            command,
            input=text,
            text=True,
            cwd="/",  # the account may not be allowed where we are
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_WITHIN_SECONDS,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerError(f"{command[0]}: {error}") from error
    if done.returncode:
        said = " / ".join(done.stdout.strip().splitlines()[-_LINES:])
        raise ServerError(f"{command[0]} failed (exit code {done.returncode}): {said}")
