"""Where a server's data is: in its folder, or, for root, where the server's account may go."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

from sagaworks.testing.servers.account import Account

_ELSEWHERE: Final = Path("/var/lib/sagaworks")
"""Only root can make folders there, and only root needs them."""

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108  a folder of its own is made in it
_ROOM_BYTES: Final = 1_000_000_000
"""Free memory below which even a fast server keeps its data on disk: containers often have less."""

_OTHERS_MAY_ENTER: Final = 0o001


def data_place(folder: Path, account: Account | None) -> Path:
    """Return the folder in which data is made: `folder`, if the account can get there.

    Below a home that is closed to others it can't; then the data is elsewhere, and a link in
    `folder` leads there. It is forgotten with the link.
    """
    if account is None or _may_enter(folder):
        return folder
    _forget_orphans()
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    place = _ELSEWHERE / name
    link = folder / "data"
    if not link.exists():
        shutil.rmtree(place, ignore_errors=True)
        link.unlink(missing_ok=True)
        place.mkdir(parents=True)
        (place / "belongs-to").write_text(str(folder))
        link.symlink_to(place / "data")
    return place


def temporary_folder(*, in_memory: bool) -> Path:
    """Make a folder for data that need not stay."""
    roomy = in_memory and _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free > _ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix="sagaworks-", dir=_IN_MEMORY if roomy else None))
    folder.chmod(0o711)
    return folder


def _may_enter(folder: Path) -> bool:
    return all(
        path.stat().st_mode & _OTHERS_MAY_ENTER
        for path in (folder, *folder.resolve().parents, *folder.parents)
    )


def _forget_orphans() -> None:
    """Remove data whose folder somebody has deleted."""
    for note in _ELSEWHERE.glob("*/belongs-to"):
        if not (Path(note.read_text()) / "data").is_symlink():
            shutil.rmtree(note.parent, ignore_errors=True)
