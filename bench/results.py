"""All that a run has measured: rows, machine, settings; written after each round, read by pages."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from bench.errors import BenchError
from bench.rows import Row

if TYPE_CHECKING:
    from pathlib import Path

    from bench.subjects.listed import Load

VERSION: Final = 1
"""Of the file's shape."""


@dataclass
class Results:
    """A run, finished or not.

    Attributes:
        begun: date and time, UTC, ISO 8601.
        machine: processors, versions, the databases' settings.
        settings: rounds asked for, seconds, loads.
        subjects: what each is, by name.
        failures: a line for each subject that couldn't be measured in a round.
        soak: the long run of one worker, if there was one.
    """

    begun: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    subjects: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    soak: dict[str, Any] | None = None

    @property
    def rounds(self) -> list[int]:
        """The rounds that are there, in order."""
        return sorted({row.round for row in self.rows})

    def measured(self, subject: str, load: Load, figure: str) -> dict[int, float]:
        """Return one figure by round; rounds that haven't got it are left out."""
        return {
            row.round: float(value)
            for row in self.rows
            if (row.subject, row.load) == (subject, load)
            and (value := getattr(row, figure)) is not None
        }

    def save(self, file: Path) -> None:
        """Write it; whoever reads meanwhile sees the old file or the new one."""
        told = {
            "version": VERSION,
            "begun": self.begun,
            "complete": len(self.rounds) >= self.settings["rounds"],
            "machine": self.machine,
            "settings": self.settings,
            "subjects": self.subjects,
            "failures": self.failures,
            "rows": [row.to_json() for row in self.rows],
            "soak": self.soak,
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".fresh")
        fresh.write_text(json.dumps(told, indent=1) + "\n")
        fresh.replace(file)

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read it.

        Raises:
            BenchError: there is none, or it's of another shape.
        """
        try:
            told = json.loads(file.read_text())
            rows = [Row.from_json(row) for row in told["rows"]]
            if told["version"] != VERSION:
                raise BenchError(f"{file}: version {told['version']}, not {VERSION}: run it anew")
            names = ("begun", "machine", "settings", "subjects", "failures", "soak")
            return cls(rows=rows, **{name: told[name] for name in names})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BenchError(f"{file}: {error}; `make bench` writes it") from error
