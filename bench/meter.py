"""CPU time and memory of engine, workers, database and history apart, from /proc (Linux)."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")
PROC: Final = Path("/proc")


@dataclass(frozen=True)
class Reading:
    """What had been used at one moment, in seconds.

    Attributes:
        cpu: by part; a process counts with its children, those that have ended too.
        busy: of all processors of the machine, whoever used them.
    """

    at: float
    cpu: Mapping[str, float]
    busy: float


@dataclass(frozen=True)
class Spent:
    """What was used between two readings.

    Attributes:
        others: processors' time that others took meanwhile, in percent of one processor.
    """

    seconds: float
    cpu: Mapping[str, float]
    others: float


class Meter:
    """Reads what each part has used.

    Args:
        parts: the process ids of each part.
        own: what this very process is called, without its children.
    """

    def __init__(self, parts: Mapping[str, Sequence[int]], *, own: str) -> None:
        """Read nothing yet."""
        self.parts = parts
        self.own = own

    def read(self) -> Reading:
        """Read now; takes a few milliseconds."""
        cpu = {part: sum(map(cpu_seconds, pids)) for part, pids in self.parts.items()}
        cpu[self.own] = time.process_time()
        return Reading(time.monotonic(), cpu, _busy_seconds())

    def memory(self, part: str) -> list[float]:
        """Resident memory of each of the part's processes, in MB."""
        return [resident_mb(pid) for pid in self.parts[part]]


def between(first: Reading, last: Reading) -> Spent:
    """Return what was used between two readings."""
    seconds = last.at - first.at
    cpu = {part: last.cpu[part] - used for part, used in first.cpu.items()}
    others = last.busy - first.busy - sum(cpu.values())
    return Spent(seconds, cpu, max(0.0, 100 * others / seconds))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its children, dead or alive; 0 if it's gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        # After the name, which may have blanks in it: utime, stime and both of ended children.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        own = sum(map(int, fields[11:15])) / TICKS
        return own + sum(map(cpu_seconds, children_of(pid)))
    return 0.0


def resident_mb(pid: int) -> float:
    """Resident memory of one process, in MB (10^6 bytes); 0 if it's gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        pages = int((PROC / str(pid) / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return 0.0


def children_of(pid: int) -> Iterator[int]:
    """Give the living processes that a process has started."""
    for thread in (PROC / str(pid) / "task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            yield from map(int, (thread / "children").read_text().split())


def _busy_seconds() -> float:
    fields = [int(field) for field in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle, waiting = fields[3], fields[4]
    return (sum(fields) - idle - waiting) / TICKS
