"""One subject for a long time: its workers' memory with all places taken, and whether it grows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from bench.load import Customers
from bench.measuring import Measuring
from bench.subjects.listed import BY_NAME

if TYPE_CHECKING:
    from bench.meter import Meter
    from bench.rows import Row

THREADS: Final = 32

IN_FLIGHT: Final = 200
"""Sagas: enough that each of the three workers has its 32 jobs."""

STEP_SECONDS: Final = 0.3
"""How long each step takes, so that a worker's places stay taken."""

SAMPLES: Final = 40

SUBJECT: Final = replace(
    BY_NAME["sagaworks"],
    loads=("saturated",),
    environ={"SAGAWORKS_THREADS": str(THREADS), "BENCH_STEP_SECONDS": str(STEP_SECONDS)},
)


@dataclass(frozen=True)
class Sample:
    """Memory when so many sagas had ended, of the largest worker, in MB."""

    sagas: int
    worker_mb: float


class Soak(Measuring):
    """Runs so many sagas through one set of workers and samples their memory."""

    sagas = 20_000
    samples: list[Sample]

    async def _loads(self, stub: Any, meter: Meter, _number: int) -> list[Row]:  # noqa: ANN401
        """Instead of the usual loads."""
        await self._first(self._customers(stub, "first"))
        customers = self._customers(stub, "soak")
        loading = asyncio.create_task(customers.keep_in_flight(IN_FLIGHT))
        self.samples = []
        for part in range(SAMPLES):
            await self._until(customers, loading, self.sagas * (part + 1) // SAMPLES)
            ended = len(customers.tally.ended)
            self.samples.append(Sample(ended, max(meter.memory("worker"))))
            self.say(f"{ended} sagas, {self.samples[-1].worker_mb:.0f} MB")
        customers.enough.set()
        await loading
        return []

    async def _until(self, customers: Customers, loading: asyncio.Task[None], count: int) -> None:
        while len(customers.tally.ended) < count:
            await asyncio.wait({loading}, timeout=0.2)
            if loading.done():
                loading.result()

    def told(self) -> Mapping[str, object]:
        """What the results keep.

        `growth` is the memory of the last quarter over that of the second one, when a worker has
        long seen everything that it will see: medians both.
        """
        quarter = SAMPLES // 4
        sizes = [sample.worker_mb for sample in self.samples]
        return {
            "sagas": self.samples[-1].sagas,
            "threads": THREADS,
            "worker_mb": round(max(sizes), 1),
            "growth": round(median(sizes[-quarter:]) / median(sizes[quarter : 2 * quarter]), 4),
            "samples": [[sample.sagas, round(sample.worker_mb, 1)] for sample in self.samples],
        }
