"""One thing breaks in each, for real and under load; each returns what was seen."""

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc
from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.runtime.gateway import connect
from tests.faults.outages.disks import MEGABYTE, Disk
from tests.faults.outages.load import Seen, counted, under_load
from tests.faults.outages.proxy import Proxy
from tests.faults.real.overlooked import BACK_WITHIN
from tests.faults.real.records import Job, eventually
from tests.faults.real.works import SERVICES, Nursery, Works

LONG_LOCK: Final = 25.0
"""Seconds; a job that waits for its lock's end is told by that from one that was handed back."""

MOST_ROUNDS: Final = 5

CROWD: Final = 8
"""Requests of others at the same moment, while the engine takes one at a time."""

SILENT_FOR: Final = 2.0
"""Seconds after something broke in which what was under way may still be reported."""


def link_cut(works: Works, seconds: float) -> Seen:
    """The way to the engine is gone: connections end, new ones are refused."""
    return _link_down(works, "link cut", Proxy.cut, seconds)


def link_silent(works: Works, seconds: float) -> Seen:
    """The way to the engine swallows everything, and no connection ends by that."""
    return _link_down(works, "link silent", Proxy.silence, seconds)


def _link_down(works: Works, name: str, down: Callable[[Proxy], None], seconds: float) -> Seen:
    with (
        Proxy(works.settings.engine_address()) as proxy,
        works.work(environ={"ZEEBE_ADDRESS": proxy.address}) as nursery,
        under_load(works, nursery, name.replace(" ", "-")) as (seen, _),
    ):
        down(proxy)
        broke = time.time()
        time.sleep(seconds)
        restored = time.time()
        seen.figures["jobs done meanwhile"] = _done(works, broke + SILENT_FOR, restored)
        proxy.restore()
        _note_first_job(works, seen, restored, "the link's return")
        seen.figures["seconds down"] = round(restored - broke, 1)
        seen.figures["connections cut"] = proxy.cut_off
        seen.figures["bytes held up"] = proxy.held_up
    return seen


def engine_killed(works: Works, times: int = 1) -> Seen:
    """The engine is killed under load and started again by its keeper."""
    with works.work() as nursery, under_load(works, nursery, "engine-killed") as (seen, load):
        for number in range(times):
            ended = load.ended()
            killed = works.kill_engine(BACK_WITHIN)
            assert killed is not None
            broke, ready = killed
            seen.figures[f"seconds until ready ({number + 1})"] = round(ready - broke, 1)
            _note_first_job(works, seen, ready, f"readiness ({number + 1})")
            eventually(lambda n=ended: load.ended() > n + 5, BACK_WITHIN, "orders flow again")
        seen.figures["engines killed"] = times
    return seen


def database_restarted(works: Works, times: int = 2) -> Seen:
    """PostgreSQL is restarted, and then killed and started, under load."""
    with works.work() as nursery, under_load(works, nursery, "database-restarted") as (seen, load):
        cut = 0
        for number in range(times):
            ended = load.ended()
            cut += _connections(works)
            if number % 2:
                works.server.kill()
                works.server.start()
            else:
                works.server.restart()
            _note_first_job(works, seen, time.time(), f"readiness ({number + 1})")
            eventually(lambda n=ended: load.ended() > n + 5, BACK_WITHIN, "orders flow again")
        seen.figures["restarts"] = times
        seen.figures["connections cut"] = cut
    return seen


def backpressure(works: Works, seconds: float) -> Seen:
    """The engine takes one request at a time, and refuses the others."""
    with works.work() as nursery, under_load(works, nursery, "backpressure") as (seen, _):
        refused = _refused(works)
        usual = {"request": {"enabled": False}}
        one = {"request": {"enabled": True, "algorithm": "fixed", "fixed": {"limit": 1}}}
        works.actuator("flowControl", one)
        try:
            asyncio.run(_crowd(works, seconds))
        finally:
            works.actuator("flowControl", usual)
        seen.figures["seconds under it"] = seconds
        seen.figures["requests refused"] = _refused(works) - refused
    return seen


def engine_disk_full(works: Works, disk: Disk, seconds: float) -> Seen:
    """The engine's disk is full for a while."""
    with works.work() as nursery, under_load(works, nursery, "engine-disk-full") as (seen, _):
        with disk.full(but_for=10 * MEGABYTE):
            eventually(lambda: "disk" in _why_refused(works), BACK_WITHIN, "it refuses")
            broke = time.time()
            time.sleep(seconds)
            freed = time.time()
            seen.figures["jobs done meanwhile"] = _done(works, broke + SILENT_FOR, freed)
        _note_first_job(works, seen, freed, "the room's return")
        seen.figures["seconds full"] = round(freed - broke, 1)
    return seen


def database_disk_full(works: Works, disk: Disk, seconds: float) -> Seen:
    """PostgreSQL's disk is full for a while."""
    with works.work() as nursery, under_load(works, nursery, "database-disk-full") as (seen, _):
        said = works.server.log.read_text().count("No space left on device")
        handed_back = _handed_back(works)
        with disk.full():
            time.sleep(seconds)
            freed = time.time()
        if not works.server.processes():
            works.server.start()
        _note_first_job(works, seen, freed, "the room's return")
        now = works.server.log.read_text().count("No space left on device")
        seen.figures["writes that found no room"] = now - said
        seen.figures["lines of a database that can't work"] = _handed_back(works) - handed_back
        seen.figures["seconds full"] = seconds
    return seen


def terminated(works: Works, rounds: int = 1) -> Seen:
    """Workers are asked to end, one after the other, while jobs stream in; others follow.

    In rounds over all services: so many, and more until somebody had jobs to hand back.
    """
    few = {
        "SAGAWORKS_THREADS": "4",
        "SAGAWORKS_GRACE_SECONDS": "5",
        "SAGAWORKS_LOCK_SECONDS": f"{LONG_LOCK:g}",
    }
    slowest, asked = 0.0, 0
    began = time.time()
    with (
        works.work(slow=0.1, environ=few) as nursery,
        under_load(works, nursery, "terminated", rate=10) as (seen, _),
    ):
        while asked < rounds * len(SERVICES) or (
            not _given_back(works, began) and asked < MOST_ROUNDS * len(SERVICES)
        ):
            service = [*SERVICES][asked % len(SERVICES)]
            slowest = max(slowest, _relieve(nursery, service))
            asked += 1
        seen.figures["workers asked to end"] = asked
        seen.figures["seconds until the slowest had ended"] = round(slowest, 2)
    given_back = _given_back(works, began)
    waits = [_seconds_until_done(job) for job in given_back]
    seen.figures["seconds until a job handed back was done, at most"] = max(waits, default=0)
    return seen


def _relieve(nursery: Nursery, service: str) -> float:
    """Ask a service's only worker to end, start another; return the seconds until it has ended."""
    [pid] = nursery.pids(service)
    asked = time.monotonic()
    nursery.terminate(pid)
    nursery.start(service)
    eventually(lambda: nursery.exit_code(pid) is not None, BACK_WITHIN, f"{service} ends")
    return time.monotonic() - asked


def _given_back(works: Works, since: float) -> list[Job]:
    jobs = [*works.records.jobs.values()]
    return [job for job in jobs if job.had("FAILED") and job.life[0][1] >= since * 1000]


def _seconds_until_done(job: Job) -> float:
    """Return the seconds from when a job was first handed back until it was completed, or 0."""
    handed = min(at for each, at, _ in job.life if each == "FAILED")
    return max((at - handed for each, at, _ in job.life if each == "COMPLETED"), default=0) / 1000


def clock_moved(works: Works) -> Seen:
    """The engine's clock goes forward by an hour: every lock has run out, while work is in hand.

    By another one where just then nobody had work in hand.
    """
    hours = 0
    with works.work(slow=0.3) as nursery, under_load(works, nursery, "clock-moved") as (seen, _):
        before = counted(works)["locks that ran out"]
        while hours < MOST_ROUNDS and counted(works)["locks that ran out"] == before:
            works.actuator("clock/add", {"offsetMilli": 3_600_000})
            hours += 1
            time.sleep(5)
        seen.figures["hours"] = hours
    return seen


def clocks_differ(works: Works, library: Path) -> Seen:
    """Half of the workers live an hour ahead, and while they work an hour behind."""
    file = works.folder / "their-clock"
    file.write_text("+3600")
    faked = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
    }
    earlier = len(works.log("inventory"))
    with (
        works.work() as nursery,
        works.work(environ=faked) as theirs,
        under_load(works, nursery, "clocks-differ") as (seen, _),
    ):
        for hour, told in ((+1, "+3600"), (-1, "-3600")):
            file.write_text(told)
            eventually(
                lambda hour=hour: hour in _hours_off(works.log("inventory")[earlier:]),
                BACK_WITHIN,
                f"a worker whose clock is off by {hour:+} h has carried out a job",
            )
            time.sleep(5)
        off = _hours_off(works.log("inventory")[earlier:])
        seen.figures["clocks that worked side by side"] = len(off)
        seen.wrong += [f"ended: {event}" for event in theirs.ended_by_themselves()]
    return seen


def _hours_off(log: str) -> set[int]:
    """Return by how many hours the clocks are off that wrote these lines within some minutes."""
    now = time.localtime()
    minutes = 60 * now.tm_hour + now.tm_min
    stamps = re.findall(r"^(\d\d):(\d\d):", log, re.MULTILINE)
    return {(round((60 * int(h) + int(m) - minutes) / 60) + 12) % 24 - 12 for h, m in stamps}


def _note_first_job(works: Works, seen: Seen, moment: float, what: str) -> None:
    first = works.records.first_completed_after(moment, BACK_WITHIN)
    if first is None:
        seen.wrong.append(f"no job was done within {BACK_WITHIN:.0f} s of {what}")
        return
    seen.figures[f"seconds from {what} to the first job done"] = round(first - moment, 2)


def _done(works: Works, since: float, until: float) -> int:
    return sum(since <= at <= until for _, at in [*works.records.completed])


def _connections(works: Works) -> int:
    """Return how many connections there are to the services' databases."""
    client = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
    with works.server.connected() as connection:
        count = connection.exec_driver_sql(f"SELECT count(*) FROM pg_stat_activity WHERE {client}")  # noqa: S608  no value in it
        return int(count.scalar_one())


def _handed_back(works: Works) -> int:
    lines = "".join(works.log(service) for service in SERVICES)
    return lines.count("the database can't work now")


async def _crowd(works: Works, seconds: float) -> None:
    """Send messages that nobody waits for, several at once: one request at a time is too few."""
    message = pb.PublishMessageRequest(name="nobody waits", correlationKey="x", timeToLive=0)
    until = time.monotonic() + seconds
    async with connect(works.settings) as gateway:
        while time.monotonic() < until:
            sent = [gateway.stub.PublishMessage(message, timeout=5) for _ in range(CROWD)]
            await asyncio.gather(*sent, return_exceptions=True)
            await asyncio.sleep(0.05)


def _refused(works: Works) -> int:
    """How many requests the engine has turned away because it was busy."""
    told = works.actuator("prometheus")
    found = re.findall(r"^zeebe_dropped_request_count_total\{.*\} (\S+)$", told, re.MULTILINE)
    return int(sum(map(float, found)))


def _why_refused(works: Works) -> str:
    """Say why the engine refuses a message that nobody waits for; nothing if it takes it."""
    message = pb.PublishMessageRequest(name="nobody waits", correlationKey="x", timeToLive=0)

    async def ask() -> str:
        async with connect(works.settings) as gateway:
            try:
                await gateway.stub.PublishMessage(message, timeout=5)
            except grpc.aio.AioRpcError as error:
                return error.details() or ""
        return ""

    return asyncio.run(ask())
