"""Everything that place_order needs, real: engine, PostgreSQL, carrier, worker processes."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self
from urllib.request import Request, urlopen

from demo.carrier_stub import Carrier
from demo.home import Home, demo_environment
from demo.partner_stub import Handler
from demo.partner_stub import Server as CarrierServer
from models.inventory import Stock
from models.payments import Card
from sagaworks.engine import local
from sagaworks.engine.running import Engine
from sagaworks.history.keeping.exporter import settings_for
from sagaworks.history.keeping.server import HistoryServer
from sagaworks.history.keeping.store import KeptHistory
from sagaworks.ledger.statements import count_in_doubt
from sagaworks.ledger.store import Store
from sagaworks.project import Project
from sagaworks.runtime.gateway import connect
from sagaworks.settings import Settings
from sagaworks.start import Started, Starter
from sagaworks.testing.broker.receiver import Receiver
from sagaworks.testing.databases import ServerDatabases
from sagaworks.testing.servers import Server
from tests.faults.killing.schedules import BROKE, NEVER_APPROVED, ORDER, PATHS, SOLD_OUT
from tests.faults.real.records import KINDS, Job, Records, eventually
from workers.inventory import inventory
from workers.orders import orders
from workers.payments import payments
from workers.shipping import shipping

SERVICES: Final = {each.name: each for each in (orders, inventory, payments, shipping)}
CARDS: Final = tuple(f"card-{number:02}" for number in range(1, 11))
ITEMS: Final = tuple(f"item-{number:02}" for number in range(1, 11))
RICH: Final = Decimal(1_000_000)
PLENTY: Final = 100_000
READY_WITHIN: Final = 60.0


def exporter(url: str) -> dict[str, object]:
    """Return the broker's settings that send jobs, sagas and incidents to `url`, once a second.

    Beside history's own exporter, under a name of its own.
    """
    settings = settings_for(url, kinds=KINDS)
    return {name.replace(".sagaworks.", ".tests."): value for name, value in settings.items()}


class Works:
    """The reference system as processes, and all there is to ask about it.

    Args:
        server: whose databases the services use; each its own.
        also: another server, for payments and shipping.
        lock: seconds that a job is a worker's.
        engine_settings: the broker's own.
        engine_folder: for its data, on a disk of the test's choice.
    """

    def __init__(
        self,
        server: Server,
        *,
        also: Server | None = None,
        lock: float = 4.0,
        engine_settings: Mapping[str, object] | None = None,
        engine_folder: Path | None = None,
    ) -> None:
        self.server = server
        self.servers = [server, also] if also else [server]
        self.folder = Path(tempfile.mkdtemp(prefix="sagaworks-works-"))
        self.met = self.folder / "met"
        self.records = Records()
        self.carrier = Carrier()
        self.lock = lock
        self.engine: Engine | None = None
        self.placed: dict[str, Started] = {}
        self.ways: dict[str, str] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.own: set[str] = set()
        self._engine_settings = dict(engine_settings or {})
        self._engine_folder = engine_folder or self.folder / "engine"
        self._stack = ExitStack()
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.settings = Settings(data=self.folder)

    def __enter__(self) -> Self:
        """Start engine, databases and carrier; no worker yet."""
        self.met.mkdir()
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End all of it."""
        self._stack.close()

    def _start(self) -> None:
        project = Project.load()
        urls = {}
        for place, server in enumerate(self.servers):
            databases = ServerDatabases(server, project)
            self._stack.callback(databases.close)
            self._stack.callback(databases.drop)
            here = [*SERVICES.items()][2 * place :] if place else SERVICES.items()
            urls |= {name: databases.fresh(service) for name, service in here}
        receiver = Receiver()
        self._stack.callback(receiver.close)
        receiver.take = self.records.take
        carrier = self._stack.enter_context(CarrierServer(self.carrier))
        carrier.RequestHandlerClass = Quiet
        threading.Thread(target=carrier.serve_forever, args=(0.05,), daemon=True).start()
        self._stack.callback(carrier.shutdown)
        history = KeptHistory(f"sqlite:///{self.folder}/history.db")
        history.prepare()
        self._stack.callback(history.close)
        keeper = HistoryServer(history, "127.0.0.1", 0, None)
        self._stack.callback(keeper.close)
        settings = Settings.load({}, project)
        self.of_engine = replace(settings, data=self._engine_folder, zeebe_address=None)
        more = exporter(receiver.url) | settings_for(keeper.url) | self._engine_settings
        self.engine = local.up(self.of_engine, attached=True, quick=True, more_settings=more)
        self._stack.callback(local.down, self.of_engine, train=False)
        self.settings = replace(
            self.of_engine,
            data=self.folder,
            zeebe_address=self.engine.address,
            database_urls=urls,
        )
        self.stores = {name: Store(url, pool_size=2) for name, url in urls.items()}
        for store in self.stores.values():
            self._stack.callback(store.close)
        self._seed()
        asyncio.run(self._deploy(project))
        self.starting = self._stack.enter_context(Starting(self.settings))
        told = {f"{name.upper()}_DATABASE_URL": url for name, url in urls.items()}
        self.environ = {
            **demo_environment(os.environ, Home(self.folder), self.engine.address),
            **told,
            "CARRIER_URL": carrier.url,
            "SAGAWORKS_HISTORY": keeper.url,
            "SAGAWORKS_LOCK_SECONDS": str(self.lock),
            "SAGAWORKS_THREADS": "8",
            "SAGAWORKS_GROUP": "0",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }

    async def _deploy(self, project: Project) -> None:
        async with connect(self.settings) as gateway:
            await gateway.deploy(project.diagram_files())

    def _seed(self) -> None:
        with self.stores["inventory"].session() as session:
            session.add(Stock(sku="lamp", available=PLENTY, received=PLENTY))
            session.add(Stock(sku=SOLD_OUT, available=0, received=0))
            session.add_all(Stock(sku=item, available=PLENTY, received=PLENTY) for item in ITEMS)
        with self.stores["payments"].session() as session:
            slow = Card(number=NEVER_APPROVED, balance=RICH, opened_with=RICH, needs_approval=True)
            session.add_all([slow, Card(number=BROKE, balance=Decimal(1), opened_with=Decimal(1))])
            session.add_all(Card(number=card, balance=RICH, opened_with=RICH) for card in CARDS)

    @contextmanager
    def work(
        self,
        *,
        each: int = 1,
        number: signal.Signals = signal.SIGKILL,
        slow: float = 0.0,
        environ: Mapping[str, str] | None = None,
    ) -> Iterator["Nursery"]:
        """Have so many workers of each service; give where they come from.

        Args:
            number: the signal that a worker sends to itself where an order's key says so.
            slow: seconds that each claim takes.
            environ: what is different in theirs.
        """
        doom = {"signal": number, "folder": str(self.met), "slow": slow}
        told = {**self.environ, "DOOM": json.dumps(doom), **(environ or {})}
        nursery = Nursery(self.folder / "logs", told)
        try:
            for _ in range(each):
                for name in SERVICES:
                    nursery.start(name)
            yield nursery
        finally:
            nursery.close()

    def place(self, key: str, way: str, *, own: bool = False, **more: Any) -> Future[Started]:
        """Place an order that is to go this way; it's placed for certain once the future ends.

        Args:
            own: it has an article and a card of its own, so that its books are its own too.
        """
        order = {**ORDER, **PATHS[way].changes, **more}
        if own:
            order |= self._give_own(key, order)
        self.ways[key], self.orders[key] = way, order
        placed = self.starting.start(key, order)
        placed.add_done_callback(lambda done: self._note(key, done))
        return placed

    def _give_own(self, key: str, order: Mapping[str, Any]) -> dict[str, str]:
        """Add an article and a card as those the order names."""
        number = len(self.own)
        self.own.add(key)
        sku, card = f"{order['sku']}-{number}", f"{order['card']}-{number}"
        units = 0 if order["sku"] == SOLD_OUT else PLENTY
        money = Decimal(1) if order["card"] == BROKE else RICH
        with self.stores["inventory"].session() as session:
            session.add(Stock(sku=sku, available=units, received=units))
        with self.stores["payments"].session() as session:
            slow = order["card"] == NEVER_APPROVED
            session.add(Card(number=card, balance=money, opened_with=money, needs_approval=slow))
        return {"sku": sku, "card": card}

    def _note(self, key: str, done: Future[Started]) -> None:
        if not done.cancelled() and not done.exception():
            self.placed[key] = done.result()

    def ended(self, key: str) -> bool:
        """Say whether the engine has told of the saga's end."""
        return key in self.placed and self.placed[key].process_instance in self.records.ends

    def jobs_of(self, key: str) -> list[Job]:
        """The order's jobs as the engine tells them; none before it's known to be placed."""
        return self.records.of(self.placed[key].process_instance) if key in self.placed else []

    def stuck(self, keys: Iterable[str]) -> dict[str, list[str]]:
        """Return, for each order, what the engine last said of its jobs: it tells who waits."""
        return {
            key: [f"{job.type} {job.key} {job.life[-2:]}" for job in self.jobs_of(key)[-2:]]
            for key in keys
        }

    def kill_engine(self, back_within: float) -> tuple[float, float] | None:
        """Kill the engine and wait until its keeper has it ready again.

        Returns:
            when it was killed and when it was ready, in seconds of the epoch; None where it wasn't
            ready before, and nothing was done.
        """
        before = local.status(self.of_engine)
        if before is None or not before.ready:
            return None
        os.kill(before.pid, signal.SIGKILL)
        broke = time.time()
        eventually(lambda: self._is_back(before.pid), back_within, "the engine is ready again")
        return broke, time.time()

    def _is_back(self, gone: int) -> bool:
        found = local.status(self.of_engine)
        return bool(found and found.pid != gone and found.ready)

    def actuator(self, path: str, body: object = None) -> str:
        """Ask the engine's own management port, or tell it something."""
        url = f"{self.engine.monitoring}/actuator/{path}"
        told = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(url, told, headers), timeout=10) as answer:
            return answer.read().decode()

    def forget_connections(self) -> None:
        """Read over new connections from now on: a restarted server has ended the old ones."""
        for store in self.stores.values():
            store.engine.dispose()

    def in_doubt(self) -> int:
        """How many effects aren't known to be counted by the engine."""
        found = 0
        for store in self.stores.values():
            with store.reading() as connection:
                found += count_in_doubt(connection, 0)
        return found

    def errors_logged(self) -> list[str]:
        """What the workers have logged as an error or worse, each line once, without its time."""
        lines = (line for name in SERVICES for line in self.log(name).splitlines())
        found = (re.match(r"[\d:.]+ (ERROR|CRITICAL) .*", line) for line in lines)
        return sorted({line[0].partition(" ")[2] for line in found if line})

    def log(self, service: str) -> str:
        """What the service's workers have logged; nothing if there was none yet."""
        file = self.folder / "logs" / f"{service}.log"
        return file.read_text(errors="replace") if file.exists() else ""


class Quiet(Handler):
    """The carrier's port without a line for each request, nor for each worker killed meanwhile."""

    def handle(self) -> None:
        """Answer until the other end is gone."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Nursery:
    """The process from which workers come; see `tests.faults.real.nursery`."""

    def __init__(self, logs: Path, environ: Mapping[str, str]) -> None:
        logs.mkdir(exist_ok=True)
        tether = [sys.executable, "-S", "-E", "demo/tether.py", str(os.getpid())]
        module = [sys.executable, "-m", "tests.faults.real.nursery", str(logs)]
        self._process = subprocess.Popen(
            [*tether, *module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environ),
            cwd=Project.load().root,
            start_new_session=True,
        )
        self.events: list[tuple[str, str, int, int]] = []
        self._asked: set[int] = set()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def start(self, service: str) -> None:
        """Start one more worker of a service."""
        assert self._process.stdin
        self._process.stdin.write(f"{service}\n".encode())
        self._process.stdin.flush()

    def pids(self, service: str) -> list[int]:
        """The workers of a service that live, the oldest first."""
        alive: dict[int, str] = {}
        # In their order: in a long run the machine gives the number of one that is gone again.
        for what, name, pid, _ in [*self.events]:
            if what == "began":
                alive[pid] = name
            elif what in {"died", "ended"}:
                alive.pop(pid, None)
        return [pid for pid, name in alive.items() if name == service]

    def deaths(self) -> int:
        """How many workers were killed."""
        return sum(what == "died" for what, _, _, _ in self.events)

    def terminate(self, pid: int) -> None:
        """Ask a worker to end in order; nobody follows it by itself."""
        self._asked.add(pid)
        with suppress(ProcessLookupError):  # asked before, for another order's sake
            os.kill(pid, signal.SIGTERM)

    def exit_code(self, pid: int) -> int | None:
        """How a worker has ended; None while it lives."""
        codes = (code for what, _, gone, code in [*self.events] if what != "began" and gone == pid)
        return next(codes, None)

    def ended_by_themselves(self) -> list[tuple[str, str, int, int]]:
        """Who ended though nobody killed it, or ended badly when asked to."""
        ended = [event for event in [*self.events] if event[0] == "ended"]
        return [event for event in ended if event[2] not in self._asked or event[3]]

    def close(self) -> None:
        """End all workers."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reading.join(5)
        self._process.stdout.close()

    def _read(self) -> None:
        for line in self._process.stdout:
            what, service, pid, number = line.decode().split()
            self.events.append((what, service, int(pid), int(number)))


class Starting:
    """Starts sagas from a loop of its own, each until it's started."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._starter = Starter(orders, self._settings)
        self._in_loop(self._starter.__aenter__()).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(TimeoutError):
            self._in_loop(self._close()).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self, key: str, variables: Mapping[str, Any]) -> Future[Started]:
        return self._in_loop(self._insist(key, variables))

    def _in_loop(self, work: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _close(self) -> None:
        ours = asyncio.current_task()
        for task in asyncio.all_tasks() - {ours}:
            task.cancel()
        await self._starter.__aexit__()

    async def _insist(self, key: str, variables: Mapping[str, Any]) -> Started:
        from sagaworks.errors import ContractError, SagaworksError
        from sagaworks.start import OtherVariablesError

        while True:
            try:
                return await self._starter.start("place_order", key=key, variables=variables)
            except (ContractError, OtherVariablesError):
                raise
            except SagaworksError:
                # Engine or database are away: a repeated start goes on, the key makes that safe.
                await asyncio.sleep(0.2)
