"""Small disks, and how to fill them; only root may mount one."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEGABYTE = 1_000_000


class Disk:
    """A folder, on a disk of its own where this process may mount one.

    Attributes:
        small: None, or why it isn't a disk of its own.
    """

    def __init__(self, folder: Path, why_not: str | None) -> None:
        self.folder = folder
        self.why_not = why_not

    def free(self) -> int:
        """How many bytes are free."""
        return shutil.disk_usage(self.folder).free

    @contextmanager
    def full(self, *, but_for: int = 0) -> Iterator[None]:
        """Take all of its room, but for so many bytes, for as long as the block lasts."""
        file = self.folder / "in-the-way"
        with file.open("wb") as filling:
            while (room := self.free() - but_for) > 0:
                # Others write there too: what was free a moment ago may be taken.
                with suppress(OSError):
                    size = os.fstat(filling.fileno()).st_size
                    os.posix_fallocate(filling.fileno(), size, max(1, room // 2))
        try:
            yield
        finally:
            file.unlink()


@contextmanager
def small_disk(megabytes: int) -> Iterator[Disk]:
    """Give a disk of that size, or a folder that says why it's none."""
    folder = Path(tempfile.mkdtemp(prefix="sagaworks-disk-"))
    folder.chmod(0o755)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    try:
        yield Disk(folder, made.stderr.strip() if made.returncode else None)
    finally:
        if not made.returncode:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)
