"""The start cache: classes already loaded and linked, so that the engine is ready in 3 s, not 9.

An AOT cache from Java 25 on, a class archive before. Java takes it only if Java build, collector
and class path are the very same as when it was written.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sagaworks.engine.distribution import Distribution
from sagaworks.engine.java import Java

_AOT_SINCE = 25


@dataclass(frozen=True)
class StartCache:
    """The cache of one engine version on one Java build."""

    java: Java
    distribution: Distribution
    folder: Path

    @classmethod
    def of(cls, cache: Path, java: Java, distribution: Distribution) -> Self:
        """Return the one kept in the user's cache."""
        return cls(java, distribution, cache / "start")

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Self:
        """Take back what `to_json` gave."""
        java = Java(Path(said["java_home"]), said["java_major"], said["java_build"])
        unpacked = Distribution(said["version"], Path(said["unpacked"]))
        return cls(java, unpacked, Path(said["folder"]))

    def to_json(self) -> dict[str, Any]:
        """Return it for another process, which then needs to look for nothing."""
        return {
            "java_home": str(self.java.home),
            "java_major": self.java.major,
            "java_build": self.java.build,
            "version": self.distribution.version,
            "unpacked": str(self.distribution.folder),
            "folder": str(self.folder),
        }

    @property
    def file(self) -> Path:
        """Where it is, or would be."""
        return self.folder / f"{self._stem}{self._key}{self._suffix}"

    def exists(self) -> bool:
        """Tell whether it has been written; whether it fits, Java decides."""
        return self.file.is_file()

    def options(self) -> list[str]:
        """How Java is told to use it, or else not to start: the supervisor then drops it.

        Checking its checksums takes 0.1 s; without, Java runs damaged code.
        """
        if self._is_aot:
            return ["-XX:+VerifySharedSpaces", f"-XX:AOTCache={self.file}", "-XX:AOTMode=on"]
        return ["-XX:+VerifySharedSpaces", f"-XX:SharedArchiveFile={self.file}", "-Xshare:on"]

    def writing_option(self, draft: Path) -> str:
        """How Java is told to write it to `draft` when it ends."""
        option = "AOTCacheOutput" if self._is_aot else "ArchiveClassesAtExit"
        return f"-XX:{option}={draft}"

    def others(self) -> list[Path]:
        """Caches of the same engine version for Java builds that this one has replaced."""
        files = self.folder.glob(f"{self._stem}*{self._suffix}")
        return [file for file in files if file != self.file]

    @property
    def _is_aot(self) -> bool:
        return self.java.major >= _AOT_SINCE

    @property
    def _suffix(self) -> str:
        return ".aot" if self._is_aot else ".jsa"

    @property
    def _stem(self) -> str:
        return f"engine-{self.distribution.version}-java-{self.java.home.name}-"

    @property
    def _key(self) -> str:
        said = [self.java.build, str(self.java.home)]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]
