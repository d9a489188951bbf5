"""The command line: says what it did and what next, and answers by its exit code."""

import errno
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

import sagaworks.awaited
import sagaworks.runtime.gateway
import sagaworks.start
import sagaworks.trail
from sagaworks import __version__
from sagaworks.cli import main
from sagaworks.errors import EngineError
from sagaworks.runtime.gateway import Deployed
from sagaworks.saga import SagaKey
from sagaworks.service import Service
from sagaworks.settings import Settings
from sagaworks.start import Started
from sagaworks.trail import Trail, Unreachable

SERVICE = """
from sqlmodel import Session
from sagaworks.saga import SagaKey
from sagaworks.service import Service
stock = Service("stock")

@stock.step(kind="retriable")
def count_stock(session: Session, sku: str) -> None:
    "Count what is on the shelf."
"""
TASK = """<bpmn:serviceTask id="{0}" name="Step"><bpmn:extensionElements>
<zeebe:taskDefinition type="stock.{0}"/></bpmn:extensionElements></bpmn:serviceTask>"""
DIAGRAM = """<bpmn:definitions id="d" targetNamespace="shop"
  xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
  xmlns:zeebe="http://camunda.org/schema/zeebe/1.0">
<bpmn:process id="{process}" isExecutable="true">
<bpmn:startEvent id="begun" /><bpmn:endEvent id="ended" />{task}
<bpmn:sequenceFlow id="a" sourceRef="begun" targetRef="{step}" />
<bpmn:sequenceFlow id="b" sourceRef="{step}" targetRef="ended" />
</bpmn:process></bpmn:definitions>"""
REVISION = """
from alembic import op
revision, down_revision = "0001", None
def upgrade() -> None:
    op.execute("CREATE TABLE stock (sku TEXT)")
"""


@dataclass
class Said:
    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command line; what it said and its exit code."""

    def call(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["sagaworks", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return Said(code, *capsys.readouterr())

    return call


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one service with one step, one diagram and one revision."""
    name = f"shop_{tmp_path.name}"
    monkeypatch.setattr(sys, "path", sys.path[:])
    for folder in (name, "bpmn", "models/migrations/stock"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / name / "stock.py").write_text(SERVICE)
    (tmp_path / "models/migrations/stock/0001.py").write_text(REVISION)
    draw(tmp_path, "count")
    table = f'[tool.sagaworks]\nservices = ["{name}.stock:stock"]\n'
    (tmp_path / "pyproject.toml").write_text(table)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGAWORKS_DATA", str(tmp_path / "data"))
    return tmp_path


def draw(project: Path, process: str, step: str = "count_stock") -> Path:
    file = project / "bpmn" / f"{process}.bpmn"
    file.write_text(DIAGRAM.format(process=process, step=step, task=TASK.format(step)))
    return file


class Engine:
    """Takes diagrams as the gateway does."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.reason = ""

    async def deploy(self, files: Sequence[Path]) -> list[Deployed]:
        if self.reason:
            raise EngineError(self.reason)
        self.got += [file.name for file in files]
        return [Deployed(file.stem, 3, 7) for file in reversed(files)]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()

    @asynccontextmanager
    async def connect(_: Settings) -> AsyncIterator[Engine]:
        yield engine

    monkeypatch.setattr(sagaworks.runtime.gateway, "connect", connect)
    return engine


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What `start_saga` was asked for; keys that begin with "old" have a saga already."""
    asked: dict[str, object] = {}

    def start_saga(service: Service, process: str, *, key: str, **more: object) -> Started:
        asked.update(more, service=service.name, process=process, key=key)
        return Started(SagaKey(4711), key, new=not key.startswith("old"))

    monkeypatch.setattr(sagaworks.start, "start_saga", start_saga)
    return asked


@pytest.fixture
def trail(monkeypatch: pytest.MonkeyPatch) -> Callable[[Trail], None]:
    def answer(found: Trail) -> None:
        monkeypatch.setattr(sagaworks.trail, "read_trail", lambda *_: found)

    return answer


HELD = {
    "service": "stock",
    "step": "hold_stock",
    "event": "executed",
    "at": "2026-01-02T10:00:00.100+00:00",
    "round": 1,
    "process_instance": 4711,
    "in_doubt": True,
}


def test_help_names_every_command_and_the_exit_codes(run: Run) -> None:
    said = run("--help")

    assert said.code == 0
    for word in ("engine", "deploy", "start", "message", "complete", "trail", "db", "Exit codes"):
        assert word in said.out


def test_the_version_is_the_librarys(run: Run) -> None:
    assert run("--version") == Said(0, f"sagaworks {__version__}\n", "")


def test_help_imports_nothing_heavy() -> None:
    heavy = {"alembic", "grpc", "lxml", "pydantic", "pyzeebe", "sqlalchemy", "sqlmodel"}
    code = f"import sys, sagaworks.cli; print(sorted({heavy} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert found.stdout == "[]\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["start"],
        ["start", "count"],
        ["start", "count", "--key", "k", "--var", "sku"],
        ["start", "count", "--key", "k", "--var", "=1"],
        ["start", "count", "--key", "k", "--var", "a=1", "--var", "a=2"],
        ["start", "count", "--key", "k", "--var", "a=1", "--vars-json", '{"a": 2}'],
        ["start", "count", "--key", "k", "--vars-json", "[1]"],
        ["start", "count", "--key", "k", "--vars-json", "{"],
        ["start", "count", "--key", "k", "--vars-json", '{"a": NaN}'],
        ["start", "count", "--key", "k", "--vars-json", '{"a": 1, "a": 2}'],
        ["message", "answer"],
        ["message", "answer", "k", "--lasts", "-1"],
        ["message", "answer", "k", "--var", "x"],
        ["complete", "k"],
        ["trail"],
        ["trail", "k", "--format", "xml"],
        ["deploy", "no-such-file.bpmn"],
        ["db"],
        ["db", "upgrade"],
        ["db", "upgrade", "stock", "--all"],
        ["--nonsense"],
    ],
)
def test_wrong_use_is_exit_code_2_without_a_trace(
    run: Run, project: Path, arguments: list[str]
) -> None:
    said = run(*arguments)

    assert said.code == 2
    assert said.err or said.out.lstrip().startswith("Usage")
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "arguments", [["deploy"], ["start", "p", "--key", "k"], ["trail", "k"], ["db", "upgrade", "s"]]
)
def test_outside_a_project_every_command_says_so_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    said = run(*arguments)

    assert said.code == 1
    assert said.err.startswith("sagaworks: no pyproject.toml with a [tool.sagaworks] table")
    assert said.err.count("\n") == 1


def test_upgrade_tells_what_it_applied_and_then_that_there_is_nothing_to_do(
    run: Run, project: Path
) -> None:
    assert run("db", "upgrade", "stock") == Said(
        0, "stock: applied 0001\nnext: python -m workers stock\n", ""
    )
    assert run("db", "upgrade", "--all").out.startswith("stock: is current, nothing to do\n")


def test_making_a_database_wants_the_owners_url(project: Path, run: Run) -> None:
    said = run("db", "create", "stock", "--admin", "postgresql://admin:hunter2@127.0.0.1:9/x")

    assert said.code == 2
    assert "STOCK_OWNER_URL isn't set" in said.err
    assert "hunter2" not in said.err


def test_a_server_that_can_not_be_reached_is_one_line(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCK_OWNER_URL", "postgresql://stock_owner:o@127.0.0.1:9/stock")
    monkeypatch.setenv("STOCK_DATABASE_URL", "postgresql://stock_worker:w@127.0.0.1:9/stock")

    said = run("db", "create", "stock", "--admin", "postgresql://admin:hunter2@127.0.0.1:9/x")

    assert said.code == 1
    assert "refused" in said.err
    assert said.err.count("\n") == 1
    assert "hunter2" not in said.err


def test_upgrade_of_an_unknown_service_lists_the_known_ones(run: Run, project: Path) -> None:
    said = run("db", "upgrade", "orders")

    assert said.code == 1
    assert "known are stock" in said.err


def test_start_asks_the_service_of_the_first_step(
    run: Run, project: Path, started: dict[str, object]
) -> None:
    said = run("start", "count", "--key", "order-42", "--var", "sku=lamp")

    assert said == Said(
        0, "order-42: started, process instance 4711\nnext: sagaworks trail order-42\n", ""
    )
    assert (started["service"], started["process"], started["key"]) == (
        "stock",
        "count",
        "order-42",
    )
    assert started["variables"] == {"sku": "lamp"}


def test_start_of_a_known_key_says_that_nothing_is_changed(
    run: Run, project: Path, started: dict[str, object]
) -> None:
    said = run("start", "count", "--key", "old-1")

    assert said.code == 0
    assert "was started before; nothing is changed, process instance 4711" in said.out


@pytest.mark.parametrize(
    "text, value",
    [
        ("lamp", "lamp"),
        ("3", 3),
        ('"3"', "3"),
        ("true", True),
        ("a=b", "a=b"),
        ("", ""),
        ("[1, 2]", [1, 2]),
        ("NaN", "NaN"),
        ("{", "{"),
        ("007", "007"),
        ("PT2M", "PT2M"),
    ],
)
def test_a_variable_is_json_or_else_text(
    run: Run, project: Path, started: dict[str, object], text: str, value: object
) -> None:
    run("start", "count", "--key", "k", "--var", f"x={text}", "--vars-json", '{"y": null}')

    assert started["variables"] == {"x": value, "y": None}


def test_start_of_an_unknown_process_names_the_known_ones(run: Run, project: Path) -> None:
    said = run("start", "place_order", "--key", "k")

    assert said.code == 1
    assert "no diagram has the process id 'place_order': known are count" in said.err


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What a saga was given from outside."""
    asked: dict[str, object] = {}

    def give(name: str, **more: object) -> None:
        asked.update(more, name=name)

    monkeypatch.setattr(sagaworks.awaited, "publish_message", give)
    monkeypatch.setattr(sagaworks.awaited, "complete_task", give)
    return asked


def test_a_message_is_published_for_a_saga_and_kept_for_an_hour(
    run: Run, given: dict[str, object]
) -> None:
    said = run("message", "room_confirmed", "trip-42", "--var", "confirmation=SV-7")

    assert said.code == 0
    assert "room_confirmed: published for trip-42" in said.out
    assert given == {
        "name": "room_confirmed",
        "key": "trip-42",
        "variables": {"confirmation": "SV-7"},
        "lasts": timedelta(hours=1),
    }


def test_a_message_lasts_as_long_as_asked(run: Run, given: dict[str, object]) -> None:
    run("message", "trip_cancelled", "trip-42", "--lasts", "0")

    assert given["lasts"] == timedelta(0)


def test_a_persons_task_is_completed_with_what_was_decided(
    run: Run, given: dict[str, object]
) -> None:
    said = run("complete", "trip-42", "choose_another_car", "--var", "car_class=van")

    assert said.out.startswith("trip-42: choose_another_car is done\n")
    assert given == {
        "name": "choose_another_car",
        "key": "trip-42",
        "variables": {"car_class": "van"},
    }


def test_deploy_tells_each_process_with_its_version(
    run: Run, project: Path, engine: Engine
) -> None:
    draw(project, "recount")

    said = run("deploy")

    assert said.code == 0
    assert said.out.splitlines() == [
        "count version 3 (count.bpmn)",
        "recount version 3 (recount.bpmn)",
        "next: sagaworks start count --key … --var name=value",
    ]
    assert engine.got == ["count.bpmn", "recount.bpmn"]


def test_deploy_of_one_file_deploys_only_it(run: Run, project: Path, engine: Engine) -> None:
    draw(project, "recount")

    run("deploy", "bpmn/recount.bpmn")

    assert engine.got == ["recount.bpmn"]


def test_a_diagram_that_disagrees_with_the_code_is_not_deployed(
    run: Run, project: Path, engine: Engine
) -> None:
    draw(project, "recount", step="count_stocks")

    said = run("deploy")

    assert (said.code, engine.got) == (1, [])
    assert "count_stock" in said.err
    assert "Traceback" not in said.err


def test_what_the_engine_refuses_is_shown_with_its_reason(
    run: Run, project: Path, engine: Engine
) -> None:
    engine.reason = "the engine refused DeployResource: no way"

    assert run("deploy") == Said(1, "", "sagaworks: the engine refused DeployResource: no way\n")


def test_the_trail_is_a_table_under_a_line_with_the_instance(
    run: Run, project: Path, trail: Callable[[Trail], None]
) -> None:
    trail(Trail("order-42", (HELD,)))

    said = run("trail", "order-42")

    assert said.code == 0
    assert said.out.startswith("order-42: process instance 4711\n")
    assert "hold_stock" in said.out
    assert said.out.endswith("1 in doubt: it isn't known whether the engine counts them\n")


def test_a_trail_with_a_service_missing_is_exit_code_3(
    run: Run, project: Path, trail: Callable[[Trail], None]
) -> None:
    trail(Trail("order-42", (HELD,), (Unreachable("orders", "no worker is running"),)))

    said = run("trail", "order-42")

    assert said.code == 3
    assert said.err == "sagaworks: orders is unreachable: no worker is running\n"


def test_a_service_of_another_saga_needn_t_run(
    run: Run, project: Path, trail: Callable[[Trail], None]
) -> None:
    began = {**HELD, "step": "count", "event": "started"}
    away = [Unreachable(service, "no worker is running") for service in ("orders", "stock")]

    trail(Trail("order-42", (began, HELD), tuple(away[:1])))
    without_a_stranger = run("trail", "order-42")
    trail(Trail("order-42", (began, HELD), tuple(away)))
    without_a_participant = run("trail", "order-42")

    assert (without_a_stranger.code, without_a_stranger.err) == (0, "")
    assert without_a_participant.code == 3
    assert without_a_participant.err == "sagaworks: stock is unreachable: no worker is running\n"


def test_a_key_nobody_knows_is_exit_code_3(
    run: Run, project: Path, trail: Callable[[Trail], None]
) -> None:
    trail(Trail("order-43", ()))

    assert run("trail", "order-43") == Said(3, "", "sagaworks: no service knows order-43\n")


def test_the_trail_as_json_is_nothing_but_json(
    run: Run, project: Path, trail: Callable[[Trail], None]
) -> None:
    trail(Trail("order-42", (HELD,), (Unreachable("orders", "no worker is running"),)))

    said = run("trail", "order-42", "--format", "json")

    assert said.code == 3
    assert json.loads(said.out)["unreachable"][0]["service"] == "orders"


def test_ctrl_c_is_exit_code_130_without_a_trace(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> Trail:
        raise KeyboardInterrupt

    monkeypatch.setattr(sagaworks.trail, "read_trail", interrupt)

    assert run("trail", "k") == Said(130, "", "")


def test_what_the_disk_refuses_is_one_line_with_its_place(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Trail:
        raise PermissionError(errno.EACCES, "Permission denied", "/data/run")

    monkeypatch.setattr(sagaworks.trail, "read_trail", refuse)

    assert run("trail", "k") == Said(1, "", "sagaworks: /data/run: Permission denied\n")


def test_a_reader_that_has_enough_is_no_error_to_speak_of() -> None:
    command = [sys.executable, "-m", "sagaworks.cli", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
