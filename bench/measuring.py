"""One subject in one round: its processes started, loaded, measured, ended, its books checked."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from bench.databases import Effects
from bench.errors import BenchError
from bench.intervals import quantile
from bench.load import Customers, Tally
from bench.meter import Meter, Reading, Spent, between
from bench.rows import Row
from bench.stage import Stage
from bench.subjects.listed import Load, Subject
from sagaworks.runtime.channel import open_channel
from sagaworks.runtime.gateway import Gateway

FIRST_WITHIN: Final = 60.0
"""Seconds in which a subject's first saga must end, its processes just started."""

DRAIN: Final = 10.0
"""Seconds that sagas under way have to end after the load; else they are left behind."""

QUIET_BELOW: Final = 0.15
"""Of one processor: an engine that uses less, its history included, has nothing left to do of the
last subject's."""

QUIET_WITHIN: Final = 10.0

Say = Callable[[str], None]


def _say_nothing(_: str) -> None:
    pass


@dataclass(frozen=True)
class Pace:
    """How hard and how long.

    Attributes:
        seconds: that each load is measured, after its ramp.
        in_flight: sagas, when saturated.
        rate: sagas a second, in the open loop.
        ramp: seconds before the open loop counts.
    """

    seconds: float = 10.0
    in_flight: int = 100
    rate: float = 35.0
    ramp: float = 2.0


@dataclass(frozen=True)
class Window:
    """The time in which a load counts.

    Attributes:
        memory: of each of the subject's processes at its end, in MB.
    """

    first: Reading
    last: Reading
    memory: list[float]

    def __contains__(self, moment: float) -> bool:
        """Whether a moment of the monotonic clock lies in it."""
        return self.first.at <= moment < self.last.at


class Measuring:
    """Measures one subject on the stage.

    Args:
        tag: of this run of it; in the names of its process and job types.
        say: told what is being done.
    """

    def __init__(
        self, stage: Stage, subject: Subject, pace: Pace, tag: str, say: Say = _say_nothing
    ) -> None:
        """Start nothing yet."""
        self.stage = stage
        self.subject = subject
        self.pace = pace
        self.tag = tag
        self.say = say
        self.tallies: list[Tally] = []

    def run(self, number: int) -> list[Row]:
        """Return the rows of round `number`; the subject's processes have ended then.

        Raises:
            BenchError: a process has ended by itself, or no saga ends.
        """
        return asyncio.run(self._run(number))

    async def _run(self, number: int) -> list[Row]:
        async with open_channel(replace(self.stage.settings, zeebe_address=self._address())) as at:
            await Gateway(at, self.stage.settings).deploy([self.stage.diagram_for(self.tag)])
            self.say("starting")
            meter = self._meter(self.stage.enter(self.subject, self.tag))
            try:
                rows = await self._watched(self._loads(GatewayStub(at), meter, number))
            finally:
                await asyncio.to_thread(self.stage.leave)
            rows = self._with_books(rows)
            await self._quiet(meter)
            return rows

    async def _loads(self, stub: Any, meter: Meter, number: int) -> list[Row]:  # noqa: ANN401
        await self._first(self._customers(stub, "first"))
        rows = []
        for load in self.subject.loads:
            self.say(load)
            customers = self._customers(stub, load)
            measured = self._open if load == "open" else self._saturated
            rows.append(await measured(customers, meter, number))
        return rows

    async def _first(self, customers: Customers) -> None:
        """Wait for a first saga through every step: the processes are there then."""
        first = asyncio.create_task(customers.one(time.monotonic()))
        done, _ = await asyncio.wait({first}, timeout=FIRST_WITHIN)
        if not done:
            first.cancel()
            raise BenchError(
                f"{self.subject.name}: its first saga hasn't ended; see {self._logs()}"
            )
        first.result()
        if not customers.tally.ended:
            raise BenchError(f"{self.subject.name}: its first saga was lost; see {self._logs()}")

    async def _open(self, customers: Customers, meter: Meter, number: int) -> Row:
        async with self._loaded(customers, customers.arrive(self.pace.rate), self.pace.ramp):
            window = await self._window(meter)
        tally = customers.tally
        latencies = [one.latency for one in tally.ended if one.due in window]
        # One that hasn't ended has taken at least so long.
        now = time.monotonic()
        latencies += [now - due for due in tally.under_way.values() if due in window]
        return self._row("open", number, tally, window, latencies)

    async def _saturated(self, customers: Customers, meter: Meter, number: int) -> Row:
        in_flight = customers.keep_in_flight(self.pace.in_flight)
        ramp = self.pace.ramp + self.subject.longer
        async with self._loaded(customers, in_flight, ramp):
            window = await self._window(meter)
        latencies = [one.latency for one in customers.tally.ended if one.at in window]
        return self._row("saturated", number, customers.tally, window, latencies)

    async def _window(self, meter: Meter) -> Window:
        first = meter.read()
        await asyncio.sleep(self.pace.seconds)
        return Window(first, meter.read(), meter.memory("worker"))

    @asynccontextmanager
    async def _loaded(
        self, customers: Customers, load: Coroutine[Any, Any, None], ramp: float
    ) -> AsyncIterator[None]:
        """Keep the load up for the body, after its ramp; then let what is under way end."""
        loading = asyncio.create_task(load)
        try:
            await asyncio.sleep(ramp)
            yield
            customers.enough.set()
            await asyncio.wait({loading}, timeout=DRAIN if self.subject.drains else 0)
        finally:
            loading.cancel()
            await asyncio.wait({loading})
        if not loading.cancelled():
            loading.result()

    def _row(
        self, load: Load, number: int, tally: Tally, window: Window, latencies: list[float]
    ) -> Row:
        if tally.lost:
            # All sagas under way are unanswered at once then, and the load isn't what it should be.
            raise BenchError(f"the gateway lost its broker, {tally.lost} starts are unanswered")
        spent = between(window.first, window.last)
        sagas = sum(one.at in window for one in tally.ended)
        # Nothing ended: it takes longer than there was time for.
        seen = latencies or [spent.seconds]
        return Row(
            round=number,
            subject=self.subject.name,
            load=load,
            seconds=spent.seconds,
            sagas=sagas,
            per_second=sagas / spent.seconds,
            p50_ms=1000 * quantile(seen, 0.5),
            p99_ms=1000 * quantile(seen, 0.99),
            unended=len(tally.under_way),
            refused_starts=tally.refused_starts.total(),
            others_percent=spent.others,
            worker_mb=max(window.memory),
            workers_mb=sum(window.memory),
            **_each(spent, sagas),
        )

    async def _watched(self, work: Coroutine[Any, Any, list[Row]]) -> list[Row]:
        """Do the work, unless a process of the subject ends meanwhile."""
        working = asyncio.create_task(work)
        try:
            while not (await asyncio.wait({working}, timeout=0.5))[0]:
                self.stage.children.check()
            return working.result()
        except* BenchError as errors:
            raise errors.exceptions[0] from None
        finally:
            working.cancel()
            await asyncio.wait({working})

    async def _quiet(self, meter: Meter) -> None:
        """Wait until the engine has nothing left to do."""
        until = time.monotonic() + QUIET_WITHIN
        used = 1.0
        while used > QUIET_BELOW and time.monotonic() < until:
            first = meter.read()
            await asyncio.sleep(0.5)
            spent = between(first, meter.read())
            used = (spent.cpu["engine"] + spent.cpu["history"]) / spent.seconds

    def _with_books(self, rows: list[Row]) -> list[Row]:
        if self.subject.kind == "no-op":
            return rows
        effects = self.stage.databases.effects()
        missing = None if any(tally.under_way for tally in self.tallies) else self._missing(effects)
        return [replace(row, missing=missing, doubled=effects.doubled) for row in rows]

    def _missing(self, effects: Effects) -> int:
        started = sum(tally.started for tally in self.tallies)
        doomed = sum(tally.doomed for tally in self.tallies)
        due = dict.fromkeys(("hold_stock", "charge_card"), started)
        due |= dict.fromkeys(("release_stock", "refund_card"), doomed)
        due["book_shipment"] = started - doomed
        return sum(max(0, count - effects.counts.get(why, 0)) for why, count in due.items())

    def _customers(self, stub: Any, load: str) -> Customers:  # noqa: ANN401
        customers = Customers(stub, f"buy_{self.tag}", f"{self.tag}-{load}")
        self.tallies.append(customers.tally)
        return customers

    def _meter(self, workers: list[int]) -> Meter:
        parts = {
            "engine": [self.stage.engine_pid()],
            "history": [self.stage.history_pid()],
            "worker": workers,
            "database": [self.stage.database_pid()],
        }
        return Meter(parts, own="starter")

    def _address(self) -> str:
        return self.stage.environ["ZEEBE_ADDRESS"]

    def _logs(self) -> str:
        """Name the logs from here: the results, which keep it, are read elsewhere too."""
        logs = self.stage.children.logs
        here = Path.cwd()
        return str(logs.relative_to(here) if logs.is_relative_to(here) else logs)


def _each(spent: Spent, sagas: int) -> dict[str, Any]:
    """CPU time of each part for each saga, in milliseconds."""
    return {f"{part}_ms": 1000 * used / max(1, sagas) for part, used in spent.cpu.items()}
