"""Run a command that ends when its parent does, however the parent ends (Linux).

    python demo/tether.py PARENT_PID COMMAND …

The kernel sends the SIGTERM; a process started this way outlives not even a `kill -9` of the demo.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Become the command, tied to the parent."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the tie was made
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606  the parent chose the command


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
