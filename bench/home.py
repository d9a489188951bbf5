"""The benchmark's own data folder, and the lock that lets one benchmark at a time use it."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError
from sagaworks import engine
from sagaworks.settings import Settings


@contextmanager
def taken(folder: Path) -> Iterator[Path]:
    """Give the folder, emptied, and keep other benchmarks out.

    Raises:
        BenchError: another benchmark runs here, or the folder is somebody else's.
    """
    lock, mark = folder.with_suffix(".lock"), folder / "this-is-a-benchmark"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BenchError(f"another benchmark runs on {folder}: wait, or stop it") from None
        if folder.exists():
            if not mark.exists() and os.listdir(folder):  # noqa: PTH208  only whether there is any
                raise BenchError(f"{folder} isn't a benchmark's folder; name another by --data")
            engine.down(Settings(data=folder), train=False)
            shutil.rmtree(folder)
        folder.mkdir()
        mark.touch()
        yield folder
