"""The worker as a process: logs, contract, signals, management port, run file, exit code."""

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from loguru import logger
from sqlmodel import Session

from sagaworks.errors import ConfigurationError, SagaworksError
from sagaworks.ledger.reader import Told, read_trail
from sagaworks.manage import Management
from sagaworks.observe.gathering import Gathering, gathered
from sagaworks.observe.logs import set_up_logs
from sagaworks.project import Project
from sagaworks.runtime.worker import Worker
from sagaworks.service import Query, Service
from sagaworks.settings import Settings

_YOUNG: Final = 10_000
"""Objects after which the collector looks at the newest; some two hundred belong to each job."""


def run_worker(
    service: Service, settings: Settings | None = None, project: Project | None = None
) -> int:
    """Run a service's worker until SIGTERM or SIGINT; return the process' exit code.

    0 after draining, 1 when it can't begin (one line on stderr says why) or a loop of it broke.
    """
    try:
        project = project or Project.load()
        settings = settings or Settings.load(project=project)
        with gathered(sys.stderr) as lines:
            set_up_logs(settings, service.name, lines)
            _check_contract(service, project)
            _leave_what_stays_alone()
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                return runner.run(_run(service, settings, lines))
    except SagaworksError as error:
        sys.stderr.write(f"sagaworks: {service.name}: {error}\n")
        return 1
    except Exception as error:  # noqa: BLE001  a worker that breaks says so and exits
        logger.opt(exception=error).critical("the worker broke: {}", type(error).__name__)
        return 1


def _check_contract(service: Service, project: Project) -> None:
    """Refuse to start where the diagrams and this service's code disagree."""
    # lxml is needed for a moment only; imported here, where a worker without diagrams skips it.
    from sagaworks.contract import demand_contract  # noqa: PLC0415
    from sagaworks.diagram import read_diagram  # noqa: PLC0415

    files = project.diagram_files()
    demand_contract([service], [read_diagram(file) for file in files], only=service.name)


def _leave_what_stays_alone() -> None:
    """Keep the garbage collector from what has been loaded: it would go through it every time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop that takes less CPU time, where there is one: docs/decisions/0077."""
    try:
        import uvloop  # noqa: PLC0415  not everywhere
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _run(service: Service, settings: Settings, lines: Gathering) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worker = Worker(service, settings)
    with _management(worker), logger.contextualize(service=service.name):
        left = await worker.run(stop)
        logger.info("stopped; {} jobs left unfinished", left)
    if left:
        # Their threads hang in somebody else's call; the interpreter would wait for them for ever.
        await logger.complete()
        lines.close()
        os._exit(0)
    return 0


@contextmanager
def _management(worker: Worker) -> Iterator[None]:
    management = Management(
        worker.settings,
        worker.service.name,
        live=worker.live,
        ready=worker.ready,
        registry=worker.metrics.registry,
        ledger=lambda key: _trail(worker, key),
        queries={name: _asked(worker, query) for name, query in worker.service.queries.items()},
    )
    url = management.start()
    run_file = worker.settings.run_file(worker.service.name)
    _write(run_file, {"service": worker.service.name, "pid": os.getpid(), "management_url": url})
    logger.info("management port at {}", url)
    try:
        yield
    finally:
        _remove_own(run_file)
        management.stop()


def _write(run_file: Path, about: Mapping[str, object]) -> None:
    # Renamed into place: whoever reads it meanwhile sees the whole of it.
    fresh = run_file.with_suffix(f".{os.getpid()}")
    try:
        run_file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(about))
        fresh.replace(run_file)
    except OSError as error:
        why = f"{run_file}: {error.strerror}; SAGAWORKS_DATA names another folder"
        raise ConfigurationError(why) from error


def _remove_own(run_file: Path) -> None:
    """Remove the run file, unless another worker of this service has written its own since."""
    try:
        if json.loads(run_file.read_text())["pid"] == os.getpid():
            run_file.unlink()
    except (OSError, ValueError, KeyError):
        return


def _trail(worker: Worker, key: str) -> list[Told]:
    with worker.store.reading() as connection:
        entries = read_trail(connection, worker.settings.tenant, key)
    return [{"service": worker.service.name, **entry} for entry in entries]


def _asked(worker: Worker, query: Query[..., Any]) -> Any:  # noqa: ANN401  a callable
    def answer(parameters: Mapping[str, str]) -> object:
        with worker.store.reading() as connection, Session(bind=connection) as session:
            return query.answer(session, parameters)

    return answer
