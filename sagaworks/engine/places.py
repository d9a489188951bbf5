"""Where a local engine keeps what is its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sagaworks.settings import Settings


@dataclass(frozen=True)
class Home:
    """The engine's folder in the project's data folder."""

    folder: Path

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the one of these settings."""
        return cls(settings.data.absolute() / "engine")

    @property
    def engine_file(self) -> Path:
        """What runs here and where; only there while something runs."""
        return self.folder / "engine.json"

    @property
    def launch_file(self) -> Path:
        """What the supervisor is told."""
        return self.folder / "launch.json"

    @property
    def running_lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.folder / "running.lock"

    @property
    def starting_lock(self) -> Path:
        """Held by whoever is about to start an engine here."""
        return self.folder / "starting.lock"

    @property
    def data(self) -> Path:
        """The engine's log and snapshots: the sagas themselves."""
        return self.folder / "data"

    @property
    def logs(self) -> Path:
        """The folder of the logs."""
        return self.folder / "logs"

    @property
    def engine_log(self) -> Path:
        """What the engine logs; at most 10 MB, three older ones beside it."""
        return self.logs / "engine.log"

    @property
    def supervisor_log(self) -> Path:
        """Starts, crashes and ends, and what Java itself has to say."""
        return self.logs / "supervisor.log"

    @property
    def history_log(self) -> Path:
        """What the history beside the engine has to say."""
        return self.logs / "history.log"

    @property
    def scratch(self) -> Path:
        """Temporary files of the running engine."""
        return self.folder / "tmp"
