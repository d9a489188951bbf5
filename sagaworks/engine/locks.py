"""File locks between processes: the kernel lets go of them when their holder dies."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from sagaworks.errors import EngineError


@contextlib.contextmanager
def exclusive(file: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock; `on_wait` is called once if another process has it."""
    fd = open_lock(file)
    try:
        if not take(fd):
            if on_wait:
                on_wait()
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def open_lock(file: Path) -> int:
    """Open the lock file, without taking the lock; the descriptor is the caller's to close.

    Raises:
        EngineError: the folder can't be written to.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        folders = "SAGAWORKS_DATA and SAGAWORKS_CACHE name other folders"
        raise EngineError(f"{file}: {error.strerror}; {folders}") from error


def take(fd: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Take the lock if nobody has it."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(file: Path) -> bool:
    """Tell whether some process holds the lock."""
    if not file.exists():
        return False
    fd = open_lock(file)
    try:
        # Shared, so that two who only ask don't mistake each other for the holder.
        return not take(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)
