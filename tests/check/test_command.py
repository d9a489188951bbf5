"""`sagaworks check`: what it prints for people and programs, and how it ends; and `deploy`."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import sagaworks.runtime.gateway
from sagaworks.check import RULES, check
from sagaworks.cli import main
from sagaworks.runtime.gateway import Deployed
from tests.check.sketch import Sketch, prop
from tests.check.sketches import FOLDER, begun, sale

ROOT = Path(__file__).parents[2]

SERVICE = """
from sqlmodel import Session
from sagaworks import Service
stock = Service("stock")

@stock.step
def hold_stock(session: Session, sku: str) -> None:
    "Set it aside."

@hold_stock.compensation
def release_stock(session: Session) -> None:
    "Put it back."

@stock.step(kind="retriable")
def ship_stock(session: Session) -> None:
    "Send it."
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sagaworks", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one service; its diagram is right."""
    name = f"shop_{tmp_path.name}"
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGAWORKS_DATA", str(tmp_path / "data"))
    (tmp_path / "bpmn").mkdir()
    (tmp_path / f"{name}.py").write_text(SERVICE)
    table = f'[tool.sagaworks]\nservices = ["{name}:stock"]\n'
    (tmp_path / "pyproject.toml").write_text(table)
    drawn(tmp_path)
    return tmp_path


def drawn(
    shop: Path, *, job: str = "stock.ship_stock", retries: str = "10", more: str = ""
) -> None:
    sketch = Sketch("sell")
    begun(sketch)
    sketch.step(job, "ship_stock", retries=retries, more=more)
    sketch.end()
    (shop / "bpmn" / "sell.bpmn").write_text(sketch.xml())


class Engine:
    """Takes diagrams as the gateway does."""

    def __init__(self) -> None:
        self.got: list[str] = []

    async def deploy(self, files: Sequence[Path]) -> list[Deployed]:
        self.got += [file.name for file in files]
        return [Deployed(file.stem, 1, 7) for file in files]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()

    @asynccontextmanager
    async def connect(_: object) -> object:
        yield engine

    monkeypatch.setattr(sagaworks.runtime.gateway, "connect", connect)
    return engine


def test_a_right_project_is_clean(run: Run, shop: Path) -> None:
    assert run("check") == (0, "1 diagram: nothing found\n", "")


def test_a_finding_is_one_line_with_place_rule_matter_and_remedy(run: Run, shop: Path) -> None:
    drawn(shop, job="stock.ship_stok")

    code, out, _ = run("check")

    assert code == 3
    assert out.splitlines()[0] == (
        "bpmn/sell.bpmn:18 ship_stock error unknown-step: no step `stock.ship_stok`; "
        "did you mean `stock.ship_stock`?"
    )
    assert out.splitlines()[-1] == "1 diagram: 2 errors"


def test_a_step_that_no_diagram_draws_is_told_where_it_is_written(run: Run, shop: Path) -> None:
    drawn(shop, job="post.send_letter", more=prop("saga.kind", "retriable"))

    code, out, _ = run("check")

    assert code == 3
    assert f"{shop.name}.py:14 ship_stock error undrawn-step: no task in any diagram" in out


def test_a_warning_ends_in_an_error_only_where_that_is_asked_for(run: Run, shop: Path) -> None:
    drawn(shop, retries="1")

    assert run("check")[0] == 0
    assert run("check", "--strict")[0] == 3
    assert "warning few-retries" in run("check")[1]


def test_what_is_let_stand_is_told_with_its_reason_and_counts_no_more(run: Run, shop: Path) -> None:
    drawn(shop, retries="1", more=prop("saga.ignore", "few-retries: a person looks at once"))

    code, out, _ = run("check", "--strict")

    assert code == 0
    assert "ship_stock ignored few-retries: must get through, but retries is 1" in out
    assert "let stand: a person looks at once" in out
    assert out.splitlines()[-1] == "1 diagram: nothing found, 1 ignored"


def test_nothing_is_let_stand_without_a_reason(run: Run, shop: Path) -> None:
    drawn(shop, retries="0", more=prop("saga.ignore", "retries"))

    code, out, _ = run("check")

    assert code == 3
    assert "error retries" in out
    assert "error saga-property: `saga.ignore` is written `rule: reason`, and has no reason" in out


def test_several_rules_may_be_let_stand_at_once(run: Run, shop: Path) -> None:
    reason = prop("saga.ignore", "few-retries, changing-input: known")
    drawn(shop, retries="1", more=reason)

    _, out, _ = run("check")

    assert "ignored few-retries" in out
    assert "warning unused-ignore: switches `changing-input` off" in out


def test_one_file_is_told_of_alone_but_judged_with_the_others(run: Run, shop: Path) -> None:
    """A step may have its task in a diagram that isn't asked about."""
    sketch = Sketch("other")
    begun(sketch)
    sketch.end()
    (shop / "bpmn" / "other.bpmn").write_text(sketch.xml())

    assert run("check", "bpmn/other.bpmn") == (0, "1 diagram: nothing found\n", "")


def test_a_file_needs_no_code_if_it_is_checked_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sketch = Sketch("anything")
    sale(sketch)
    Path("other_name.bpmn").write_text(sketch.xml())

    assert run("check", "--diagram-only", "other_name.bpmn")[:2] == (
        0,
        "1 diagram: nothing found\n",
    )
    assert run("check", "other_name.bpmn")[0] == 1


@pytest.mark.parametrize("arguments", [["no-such.bpmn"], ["--format", "xml"], ["--nonsense"]])
def test_wrong_use_is_exit_code_2(run: Run, shop: Path, arguments: list[str]) -> None:
    assert run("check", *arguments)[0] == 2


def test_code_that_cannot_be_imported_is_one_line(run: Run, shop: Path) -> None:
    (shop / f"shop_{shop.name}.py").write_text("import nothing_like_it")

    code, out, err = run("check")

    assert (code, out) == (1, "")
    assert err.startswith("sagaworks: ")
    assert "nothing_like_it" in err
    assert err.count("\n") == 1


def test_json_is_a_list_with_an_object_a_finding(run: Run, shop: Path) -> None:
    drawn(shop, retries="0", more=prop("saga.ignore", "retries: for a test"))

    [found] = json.loads(run("check", "--format", "json")[1])

    assert found["file"] == "bpmn/sell.bpmn"
    assert (found["rule"], found["severity"]) == ("retries", "error")
    assert found["element"] == "ship_stock"
    assert found["ignored"] == "for a test"
    assert isinstance(found["line"], int)


def test_sarif_names_all_rules_and_each_place(run: Run, shop: Path) -> None:
    drawn(shop, retries="0")

    code, out, _ = run("check", "--format", "sarif")
    log = json.loads(out)
    [one] = log["runs"]
    [result] = one["results"]

    assert code == 3
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in one["tool"]["driver"]["rules"]] == [*RULES]
    assert (result["ruleId"], result["level"]) == ("retries", "error")
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "bpmn/sell.bpmn"
    assert place["region"]["startLine"] > 1
    assert "suppressions" not in result


def test_sarif_says_what_is_let_stand(run: Run, shop: Path) -> None:
    drawn(shop, retries="0", more=prop("saga.ignore", "retries: for a test"))

    code, out, _ = run("check", "--format", "sarif")
    [result] = json.loads(out)["runs"][0]["results"]

    assert code == 0
    assert result["suppressions"] == [{"kind": "inSource", "justification": "for a test"}]


def test_github_is_told_by_workflow_commands(run: Run, shop: Path) -> None:
    drawn(shop, job="stock.ship_50%")

    _, out, _ = run("check", "--format", "github")
    first = out.splitlines()[0]

    assert first.startswith("::error file=bpmn/sell.bpmn,line=18,title=unknown-step ship_stock::")
    assert "`stock.ship_50%25`" in first


def test_colours_are_for_terminals(run: Run, shop: Path) -> None:
    drawn(shop, retries="0")

    assert "\x1b[" not in run("check")[1]


def test_what_check_refuses_is_not_deployed(run: Run, shop: Path, engine: Engine) -> None:
    drawn(shop, retries="0")

    code, out, err = run("deploy")

    assert (code, out, engine.got) == (1, "", [])
    assert "bpmn/sell.bpmn:18 ship_stock error retries: retries is 0" in err


def test_it_is_deployed_by_force_and_told_all_the_same(
    run: Run, shop: Path, engine: Engine
) -> None:
    drawn(shop, retries="0")

    code, out, err = run("deploy", "--force")

    assert (code, engine.got) == (0, ["sell.bpmn"])
    assert out.startswith("sell version 1 (sell.bpmn)")
    assert "ship_stock error retries" in err


def test_a_warning_keeps_nothing_from_being_deployed(run: Run, shop: Path, engine: Engine) -> None:
    drawn(shop, retries="1")

    assert run("deploy")[0::2] == (0, "")
    assert engine.got == ["sell.bpmn"]


def test_a_file_that_is_no_diagram_is_not_deployed_by_force_either(
    run: Run, shop: Path, engine: Engine
) -> None:
    (shop / "bpmn" / "sell.bpmn").write_text("no diagram")

    code, _, err = run("deploy", "--force")

    assert (code, engine.got) == (1, [])
    assert "Traceback" not in err


def test_fifty_diagrams_take_less_than_a_second(tmp_path: Path) -> None:
    """Processor time of the check itself; imports of the services take another half."""
    text = (ROOT / "bpmn" / "place_order.bpmn").read_text()
    files = [tmp_path / f"place_order_{n}.bpmn" for n in range(50)]
    for file in files:
        file.write_text(text.replace('"place_order"', f'"{file.stem}"'))

    began = time.process_time()
    found = check(files)

    assert time.process_time() - began < 1
    assert {one.severity for one in found} <= {"info"}


def test_without_code_no_model_is_imported() -> None:
    import subprocess

    code = (
        "import sys; from pathlib import Path; from sagaworks.check import check;"
        f"check([Path({str(FOLDER / 'no-undo' / 'wrong.bpmn')!r})]);"
        "print({'sqlmodel', 'pydantic', 'sqlalchemy', 'rich'} & {*sys.modules})"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ran.stdout == "set()\n"
