"""Reading the engine's logs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

_KEPT_BYTES = 1_000_000
_BLOCK_BYTES = 65_536
_POLL_SECONDS = 0.2
# Java's warnings about libraries, and what the supervisor says of the failure itself.
_SIDE_NOTE = re.compile(r"WARNING: |Standard Commons Logging|\S+Z supervisor: ")
_TELLING = ("Caused by:", "Error occurred", "APPLICATION FAILED", "ERROR", "Exception")


def tail(file: Path, lines: int) -> list[str]:
    """Return the last `lines` lines; none if there is no file."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            block = b""
            while size and block.count(b"\n") <= lines:
                step = min(size, _BLOCK_BYTES)
                size -= step
                stream.seek(size)
                block = stream.read(step) + block
    except OSError:
        return []
    return block.decode(errors="replace").splitlines()[-lines:] if lines else []


def since(file: Path, offset: int) -> list[str]:
    """Return the lines written after `offset` bytes."""
    try:
        with file.open("rb") as stream:
            stream.seek(offset)
            return stream.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def size(file: Path) -> int:
    """Return how long the file is now, in bytes; 0 if there is none."""
    return file.stat().st_size if file.exists() else 0


def telling(lines: list[str]) -> str:
    """Pick the line that says most about a failure: the last cause, else the last line."""
    own = [line.strip() for line in lines if line.strip() and not _SIDE_NOTE.match(line)]
    for mark in _TELLING:
        for line in reversed(own):
            if mark in line:
                return line
    return (own or lines or ["it left no word"])[-1]


def follow(file: Path) -> Iterator[str]:
    """Yield what is written from now on, for ever, over roll-overs and before there is a file."""
    stream, inode = None, None
    try:
        while True:
            now = file.stat().st_ino if file.exists() else None
            if now is not None and now != inode:
                if stream:
                    yield from stream
                    stream.close()
                first = inode is None and stream is None
                stream, inode = file.open(errors="replace"), now
                stream.seek(0, 2 if first else 0)
            if stream:
                yield from stream
            time.sleep(_POLL_SECONDS)
    finally:
        if stream:
            stream.close()


def shorten(file: Path) -> None:
    """Put a log aside that has grown too long; only one is kept."""
    if file.exists() and file.stat().st_size > _KEPT_BYTES:
        file.replace(file.with_suffix(".log.1"))
