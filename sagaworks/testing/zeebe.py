"""The fixture `zeebe`: one test's engine, and all that a test does with it."""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sagaworks.codec import to_json
from sagaworks.errors import ConfigurationError, EngineError
from sagaworks.ledger.reader import read_trail
from sagaworks.ledger.store import Store
from sagaworks.reconcile import Rhythm
from sagaworks.runtime.gateway import Deployed, EngineUnreachableError, Gateway, connect
from sagaworks.runtime.worker import Worker
from sagaworks.saga import KEY_VARIABLE, JobKey, SagaKey
from sagaworks.testing.agenda import JOB_IS_OVER
from sagaworks.testing.clock import Clock
from sagaworks.testing.feed import Feed
from sagaworks.testing.painting import draw_to
from sagaworks.testing.saga import RunningSaga
from sagaworks.testing.stubs import Script, Stub
from sagaworks.testing.workers import RunningWorker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import grpc
    from pyzeebe import ZeebeClient
    from sqlmodel import Session

    from sagaworks.history import History
    from sagaworks.ledger.reader import Told
    from sagaworks.service import Service
    from sagaworks.settings import Settings
    from sagaworks.testing.databases import Databases
    from sagaworks.testing.engines import EngineUnderTest
    from sagaworks.testing.faults import Faults
    from sagaworks.testing.loop import Loop

_END_SECONDS: Final = 2.0
_DEATH_IS_SEEN: Final = 1.0
_BRISK: Final = Rhythm(pause=0.2, patience=1.5, listed_after=3.0)


class Zeebe:
    """One test's engine, services and sagas.

    Attributes:
        engine: what the tests run on.
        feed: the engine's records and the conditions on them; `history` is the port to them.
        settings: for `start_saga` and others that ask for settings: this engine, these databases.
    """

    def __init__(  # noqa: PLR0913, PLR0917  where the parts of the fixture meet
        self,
        engine: EngineUnderTest,
        loop: Loop,
        databases: Databases,
        settings: Settings,
        diagrams: Callable[[str], Path | None],
        pictures: Path,
        *,
        keeps_records: bool = False,
    ) -> None:
        """Begin on an engine that knows nothing of earlier tests.

        Raises:
            ConfigurationError: no Java, or a package is missing.
            EngineError: the engine can't be fetched or started; says why.
        """
        self.engine = engine
        self.feed = Feed(keeps_records=keeps_records)
        self._loop = loop
        self._databases = databases
        self._diagrams = diagrams
        self._pictures = pictures
        self._numbers = count(1)
        self._workers: dict[str, RunningWorker] = {}
        self._stores: dict[str, Store] = {}
        self._stubs: dict[str, Stub] = {}
        self._started: list[SagaKey] = []
        self._open = ExitStack()
        self._faults: Faults | None = None
        self.settings = replace(settings, zeebe_address=engine.begin(self.feed))
        self._clock = Clock(engine, self.feed, self._served, self._hanging)

    @property
    def address(self) -> str:
        """The gateway's address, ``host:port``, without TLS; for any client."""
        return self.settings.engine_address()

    @property
    def history(self) -> History:
        """What the engine has recorded in this test."""
        return self.feed.history

    def channel(self) -> grpc.aio.Channel:
        """Open a channel for pyzeebe; call it where an event loop runs, and close it there."""
        from pyzeebe import create_insecure_channel  # noqa: PLC0415

        return create_insecure_channel(self.address)

    def client(self) -> ZeebeClient:
        """Return pyzeebe's client on a channel of its own; call it where an event loop runs."""
        from pyzeebe import ZeebeClient  # noqa: PLC0415

        return ZeebeClient(self.channel())

    def deploy(self, *diagrams: Path | str) -> None:
        """Deploy diagrams, each a file or its XML.

        Raises:
            EngineError: the engine rejects one, with its reason in one line.
        """
        for diagram in diagrams:
            file = self._file(diagram)
            for deployed in self.ask(partial(_deploy, [file])):
                # An engine that lives longer than a test tells of a diagram only once.
                self.feed.diagrams[deployed.process_id] = file.read_text(encoding="utf-8")
                self.feed.history.know(deployed.key, file.read_bytes())

    def ask(self, question: Callable[[Gateway], Awaitable[Any]]) -> Any:  # noqa: ANN401
        """Run a command on the engine, return its answer.

        Raises:
            EngineError: the engine's reason.
        """

        async def ask() -> Any:  # noqa: ANN401
            async with connect(self.settings) as gateway:
                return await question(gateway)

        try:
            return self._loop.run(ask())
        except EngineUnreachableError:
            self.feed.wait_for(lambda: False, _DEATH_IS_SEEN)  # raises the engine's last words
            raise

    def run(self, process: str, *, key: str | None = None, **variables: object) -> RunningSaga:
        """Start a saga and return at once.

        Args:
            process: the diagram's process id; the project's diagram of that id is deployed if the
                engine has none.
            key: the business key; one that nobody has by default.
            variables: what the saga starts with; Decimal, UUID, dates and models are fine.

        Raises:
            EngineError: the engine has no such process, or rejects its diagram.
        """
        self._deploy_if_missing(process)
        business_key = key or f"{process}-{next(self._numbers)}-{uuid.uuid4().hex[:8]}"
        plain = {name: to_json(value, place=name) for name, value in variables.items()}
        given = {**plain, KEY_VARIABLE: business_key}
        instance = self.ask(lambda gateway: gateway.create(process, given))
        return self._saga(instance, business_key, process)

    def saga(self, key: str) -> RunningSaga:
        """Return the saga of a business key, however it was started, once the engine has it.

        Raises:
            EngineError: the engine has recorded no such saga.
        """
        found = self.feed.wait_for(lambda: self.history.instances(key), self.engine.patience)
        if not found:
            raise EngineError(f"the engine has recorded no saga with the key {key}")
        return self._saga(found[-1].key, key, found[-1].process)

    def publish(self, message: str, *, correlation_key: str, **variables: object) -> None:
        """Publish a message that a saga waits for, or will within an hour of the engine's clock."""
        plain = {name: to_json(value, place=name) for name, value in variables.items()}
        hour = timedelta(hours=1)
        self.ask(lambda gateway: gateway.publish(message, correlation_key, plain, lasts=hour))

    def complete(self, saga: RunningSaga, task: str, **variables: object) -> None:
        """Complete a user task as a person does, once the saga waits for it.

        Raises:
            AssertionError: the saga doesn't come to it.
        """
        plain = {name: to_json(value, place=name) for name, value in variables.items()}
        waiting = self.feed.wait_for(lambda: self._waiting(saga, task), self.engine.patience)
        if not waiting:
            raise saga.failure(f"doesn't wait for a person at {task}")
        self.ask(lambda gateway: gateway.complete(waiting[0], plain))

    def cancel(self, saga: RunningSaga) -> None:
        """Cancel a saga as an operator does; the engine compensates nothing then."""
        self.ask(lambda gateway: gateway.cancel(saga.key))

    def advance(self, by: timedelta) -> None:
        """Move the engine's clock; what is due on the way happens one after the other.

        Timers, back-offs and locks fire in their order, and after each the saga goes on until it
        waits again; so retries and timers that follow from one another all find their time.

        Raises:
            EngineError: this engine's clock can't be moved.
        """
        self._clock.advance(by)

    def settle(self) -> None:
        """Wait until nothing more happens by itself: no job in hand, no record for an instant."""
        self._clock.settle()

    def work(self, *services: Service, **settings: Any) -> list[RunningWorker]:  # noqa: ANN401
        """Run services' workers, each on a fresh database; return when they take jobs.

        Steps that were stubbed before are left to their stubs.

        Args:
            services: the user's own.
            settings: fields of `sagaworks.settings.Settings` that differ, such as ``lock``.

        Raises:
            EngineError: a worker doesn't come to take jobs; says why.
        """
        for service in services:
            self._open_database(service)
        self.settings = replace(self.settings, **settings)
        started = [self._worker(service) for service in services]
        for worker in started:
            worker.start()
        return started

    def worker(self, service: Service) -> RunningWorker:
        """Return a service's worker, to stop it, let it die and start it again.

        Raises:
            ConfigurationError: it doesn't run in this test.
        """
        if service.name not in self._workers:
            raise ConfigurationError(f"{service.name}: run it first, by zeebe.work(…)")
        return self._workers[service.name]

    def session(self, service: Service) -> AbstractContextManager[Session]:
        """Give a session on the service's database of this test; it commits at its end."""
        return self._open_database(service).session()

    def stub(self, job_type: str, *script: Script) -> Stub:
        """Let a script stand in for a step or compensation; call it before `work`.

        Args:
            job_type: such as ``payments.charge_card``.
            script: answers in sequence, the last one again and again: a fact, variables or None
                completes the job; a `Refusal`, `Retry` or `Halt` is answered as a step that raises
                it; `HANG` takes the job and says nothing; a function is given the variables and
                returns one of these. Without a script each job is completed.
        """
        if job_type.partition(".")[0] in self._workers:
            raise ConfigurationError(f"{job_type}: stub it before zeebe.work(…), which takes it")
        stub = self._stubs[job_type] = Stub.of(job_type, script)
        self._loop.begin(stub.serve(self.address))
        return stub

    @property
    def faults(self) -> Faults:
        """What is to go wrong between workers and engine; ask for it before `work` and `stub`.

        Raises:
            ConfigurationError: workers or stubs are connected already, past the faults.
        """
        return self._faults or self.put_on_wire()

    @property
    def breaks(self) -> Faults | None:
        """The same, or None in a test where nothing was asked to go wrong."""
        return self._faults

    def put_on_wire(self, seed: int | None = None) -> Faults:
        """Let all that connects from now on go over a wire on which faults can happen."""
        from sagaworks.testing.faults import Faults  # noqa: PLC0415

        if self._workers or self._stubs:
            message = "zeebe.faults: ask for it before zeebe.work(…) and zeebe.stub(…)"
            raise ConfigurationError(f"{message}, so that they are on its wire")
        self._faults = Faults(self.address, seed=seed)
        self.settings = replace(self.settings, zeebe_address=self._faults.address)
        return self._faults

    def close(self) -> None:
        """End workers and stubs; sagas left over are cancelled where the engine lives on."""
        self.engine.finish()
        self._loop.end_all(_END_SECONDS)
        if self._faults:
            self._faults.close()
        for store in self._stores.values():
            store.close()
        self._databases.drop()

    def _waiting(self, saga: RunningSaga, task: str) -> list[JobKey]:
        jobs = self.history.jobs(saga.key)
        return [one.key for one in jobs if one.element == task and one.last not in JOB_IS_OVER]

    def _saga(self, instance: SagaKey, business_key: str, process: str) -> RunningSaga:
        self._started.append(instance)
        return RunningSaga(
            instance,
            business_key,
            process,
            self.feed,
            self.engine,
            self._ledger,
            self._draw,
        )

    def _deploy_if_missing(self, process: str) -> None:
        if process in self.feed.diagrams:
            return
        if file := self._diagrams(process):
            self.deploy(file)

    def _file(self, diagram: Path | str) -> Path:
        if isinstance(diagram, str) and diagram.lstrip().startswith("<"):
            file = self._pictures / f"deployed-{next(self._numbers)}.bpmn"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(diagram, encoding="utf-8")
            return file
        file = Path(diagram)
        if not file.is_file():
            raise ConfigurationError(f"{file}: no such diagram")
        return file

    def _open_database(self, service: Service) -> Store:
        if service.name not in self._stores:
            url = self._databases.fresh(service)
            urls = {**self.settings.database_urls, service.name: url}
            self.settings = replace(self.settings, database_urls=urls)
            self._stores[service.name] = Store(url)
        return self._stores[service.name]

    def _worker(self, service: Service) -> RunningWorker:
        worker = RunningWorker(
            service,
            self.settings,
            self._loop,
            self.feed,
            self.engine,
            lambda: set(self._stubs),
            self._faults.mortal if self._faults else self._employ,
        )
        self._workers[service.name] = worker
        return worker

    def _employ(self, service: Service, settings: Settings) -> Worker:
        """Run a worker whose reconciler knows what this engine has recorded, and is brisk."""
        return Worker(service, settings, history=self.history, rhythm=_BRISK)

    def _served(self) -> set[str]:
        types = (worker.job_types for worker in self._workers.values())
        return set(self._stubs).union(*types)

    def _hanging(self) -> set[int]:
        return {key for stub in self._stubs.values() for key in stub.hanging}

    def _ledger(self, business_key: str) -> list[Told]:
        told: list[Told] = []
        for name, store in self._stores.items():
            with store.reading() as connection:
                entries = read_trail(connection, self.settings.tenant, business_key)
            told += [{"service": name, **entry} for entry in entries]
        return sorted(told, key=lambda entry: str(entry["at"]))

    def _draw(self, saga: RunningSaga) -> str:
        diagram = self.feed.diagrams.get(saga.process)
        if diagram is None:
            return "none, since its diagram was deployed before this test"
        if "BPMNShape" not in diagram:
            return "none, since its diagram has no layout"
        try:
            return str(draw_to(self._pictures / f"{saga.process}.svg", saga, self.history, diagram))
        except Exception as error:  # noqa: BLE001  a diagram without a layout; the trail matters more
            return f"none: {error}"


def _deploy(files: list[Path], gateway: Gateway) -> Awaitable[list[Deployed]]:
    return gateway.deploy(files)
