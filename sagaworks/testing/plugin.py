"""The pytest plugin: options and fixtures. It imports nothing before a test asks for an engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from sagaworks.project import Project
    from sagaworks.settings import Settings
    from sagaworks.testing.databases import Databases
    from sagaworks.testing.engines import EngineUnderTest
    from sagaworks.testing.faults.kinds import Kind
    from sagaworks.testing.loop import Loop
    from sagaworks.testing.zeebe import Zeebe


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; all begin with ``--zeebe``."""
    group = parser.getgroup("zeebe", "sagas on the real Zeebe engine (sagaworks)")
    group.addoption(
        "--zeebe",
        metavar="ENGINE",
        default=None,
        help="what the fixture `zeebe` runs on: embedded (the default), broker, HOST:PORT, or "
        "several of them with commas between",
    )
    group.addoption(
        "--zeebe-database",
        choices=("sqlite", "postgresql", "mariadb"),
        default="sqlite",
        help="where the databases of services under test are: a server is started for the session",
    )
    group.addoption(
        "--zeebe-receiver",
        metavar="PORT",
        type=int,
        default=9250,
        help="with --zeebe=HOST:PORT: the local port that the cluster's exporter sends records to",
    )
    group.addoption(
        "--zeebe-pictures",
        metavar="FOLDER",
        default=None,
        help="where pictures of failed sagas go; pytest's temporary folder by default",
    )


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks that extensions implement."""
    from sagaworks.testing import hooks  # noqa: PLC0415

    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    breaks = "whatever_breaks: runs under every fault; see sagaworks.testing.whatever_breaks"
    config.addinivalue_line("markers", breaks)
    line = (
        "zeebe_engines(name, …): what a test runs on, one after the other, unless --zeebe says it"
    )
    config.addinivalue_line("markers", line)
    line = "zeebe_clock: moves the engine's clock; not run where that can't be (a foreign cluster)"
    config.addinivalue_line("markers", line)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on each engine it's for, and what is marked `whatever_breaks` under each fault."""
    if "zeebe_engine" in metafunc.fixturenames:
        names = _engines(metafunc)
        if len(names) > 1:
            metafunc.parametrize("zeebe_engine", names, indirect=True, scope="session")
    if metafunc.definition.get_closest_marker("whatever_breaks"):
        from sagaworks.testing.faults.whatever import parametrize  # noqa: PLC0415

        parametrize(metafunc)


def _engines(metafunc: pytest.Metafunc) -> list[str]:
    """The engines that the option names, else the test's mark."""
    if asked := metafunc.config.getoption("zeebe"):
        return str(asked).split(",")
    mark = metafunc.definition.get_closest_marker("zeebe_engines")
    return list(mark.args) if mark else []


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Fail a test whose faults never happened; show what did happen where it fails."""
    __tracebackhide__ = True
    zeebe = cast("Zeebe | None", pyfuncitem.funcargs.get("zeebe"))
    kind = cast("Kind | None", pyfuncitem.funcargs.get("zeebe_breaks"))
    try:
        result = yield
        if zeebe and zeebe.breaks:
            from sagaworks.testing.faults.whatever import demand  # noqa: PLC0415

            demand(pyfuncitem, zeebe.breaks, kind)
    except Exception:
        if zeebe and zeebe.breaks:
            pyfuncitem.add_report_section("call", "faults", zeebe.breaks.story())
        raise
    return result


@pytest.fixture
def zeebe_breaks(request: pytest.FixtureRequest) -> Kind | None:
    """What breaks in this test; `whatever_breaks` says it."""
    return getattr(request, "param", None)


@pytest.fixture(scope="session")
def zeebe_project(pytestconfig: pytest.Config) -> Project | None:
    """The project whose diagrams and migrations are used: the one around pytest's root, or none."""
    from sagaworks.project import Project, root_above  # noqa: PLC0415

    root = root_above(pytestconfig.rootpath)
    return Project.load(root) if root else None


@pytest.fixture(scope="session")
def zeebe_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings that workers under test begin with."""
    from dataclasses import replace  # noqa: PLC0415

    from sagaworks.settings import Settings  # noqa: PLC0415

    here = tmp_path_factory.mktemp("zeebe")
    return replace(Settings(data=here, engine_cache=Settings.load().engine_cache), threads=4)


@pytest.fixture(scope="session")
def zeebe_databases(
    pytestconfig: pytest.Config, zeebe_project: Project | None
) -> Iterator[Databases]:
    """Where the databases of services under test come from; override it for your own."""
    from sagaworks.testing.databases import databases_on  # noqa: PLC0415
    from sagaworks.testing.servers import ServersUnavailableError  # noqa: PLC0415

    kind = pytestconfig.getoption("zeebe_database")
    try:
        with databases_on(kind, zeebe_project, _noting(pytestconfig)) as databases:
            yield databases
    except ServersUnavailableError as error:
        pytest.skip(f"not run: {error}")


@pytest.fixture(scope="session")
def zeebe_engine(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, zeebe_settings: Settings
) -> Iterator[EngineUnderTest]:
    """The engine that ``--zeebe`` names, once a session."""
    from sagaworks.testing.choice import choose_engine  # noqa: PLC0415

    asked = getattr(request, "param", None) or pytestconfig.getoption("zeebe") or "embedded"
    port = pytestconfig.getoption("zeebe_receiver")
    engine = choose_engine(asked, port, zeebe_settings, _noting(pytestconfig))
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="session")
def _zeebe_loop() -> Iterator[Loop]:
    from sagaworks.testing.loop import Loop  # noqa: PLC0415

    loop = Loop()
    try:
        yield loop
    finally:
        loop.close()


@pytest.fixture
def zeebe(  # noqa: PLR0913, PLR0917  fixtures are arguments
    request: pytest.FixtureRequest,
    zeebe_engine: EngineUnderTest,
    zeebe_databases: Databases,
    zeebe_settings: Settings,
    zeebe_project: Project | None,
    zeebe_breaks: Kind | None,
    _zeebe_loop: Loop,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Zeebe]:
    """The real engine, clean for this test; see `sagaworks.testing.Zeebe`."""
    from sagaworks.testing.coverage.plugin import note_records, wants_records  # noqa: PLC0415
    from sagaworks.testing.zeebe import Zeebe  # noqa: PLC0415

    if request.node.get_closest_marker("zeebe_clock") and not zeebe_engine.moves_clock:
        pytest.skip(f"moves the clock, which {zeebe_engine.name} can't")
    base = request.config.getoption("zeebe_pictures") or tmp_path_factory.getbasetemp() / "zeebe"
    pictures = Path(base) / re.sub(r"[^\w.-]+", "_", request.node.nodeid)
    zeebe = Zeebe(
        zeebe_engine,
        _zeebe_loop,
        zeebe_databases,
        zeebe_settings,
        lambda process: _diagram(zeebe_project, process),
        pictures,
        keeps_records=wants_records(request.config),
    )
    try:
        if zeebe_breaks:
            mark = request.node.get_closest_marker("whatever_breaks")
            zeebe_breaks.arrange(zeebe.put_on_wire(mark.kwargs["seed"]))
        yield zeebe
        note_records(request.config, zeebe.feed.records, request.node.nodeid)
        request.config.hook.pytest_zeebe_finished(zeebe=zeebe, item=request.node)
    finally:
        zeebe.close()


def _diagram(project: Project | None, process: str) -> Path | None:
    """The project's diagram of this process: by the rule the file is named after it."""
    files = project.diagram_files() if project else []
    return next((file for file in files if file.stem == process), None)


def _noting(config: pytest.Config) -> Callable[[str], None]:
    """Say what takes long on the terminal, whatever pytest captures."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")

    def note(line: str) -> None:
        if reporter:
            reporter.write_line(f"zeebe: {line}")

    return note
