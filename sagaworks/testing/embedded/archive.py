"""The test engine's start cache: its classes, loaded and laid out once, so it starts sooner."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

    from sagaworks.engine.java import Java


@dataclass(frozen=True)
class ClassArchive:
    """Java's class archive for one Java build and one class path.

    Java passes over one that doesn't fit, and starts without.
    """

    file: Path

    @classmethod
    def of(cls, cache: Path, java: Java, class_path: str) -> Self:
        """Name the one in this cache, which may not be there yet."""
        about = f"{java.home} {java.build} {class_path}"
        digest = hashlib.sha256(about.encode()).hexdigest()[:12]
        return cls(cache / "start" / f"embedded-{digest}.jsa")

    @property
    def draft(self) -> Path:
        """What this process writes, before it's whole."""
        return self.file.with_suffix(f".{os.getpid()}.draft")

    def options(self) -> list[str]:
        """Tell Java to use the archive, or to write it when it ends."""
        if self.file.exists():
            return [f"-XX:SharedArchiveFile={self.file}"]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        return [f"-XX:ArchiveClassesAtExit={self.draft}"]

    def keep(self) -> None:
        """Put what Java has written in place, if it has."""
        if self.draft.exists():
            self.draft.replace(self.file)
