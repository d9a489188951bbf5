"""`sagaworks cancel`: who can't be cancelled hears why in one line, and nothing is done."""

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sagaworks.audit.difference import Difference, What
from sagaworks.cancel import Cancelled, CancelWay, Fate
from sagaworks.cli import main
from sagaworks.history.keeping.server import HistoryServer
from sagaworks.history.keeping.store import KeptHistory
from sagaworks.runtime.gateway import Gateway
from tests.history.recorded import ORDER, OTHER, deployed, element, process, variable

KEY = "order-42"
SERVICE = "from sagaworks import Service\nstock = Service('stock')\n"
WAY = CancelWay("cancel_trip", "trip_cancelled", "saga_key", interrupts=False)
DIAGRAM = """
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
             xmlns:zeebe="http://camunda.org/schema/zeebe/1.0">
  <process id="place_order" isExecutable="true">
    <serviceTask id="charge_card"><extensionElements><zeebe:properties>
      <zeebe:property name="saga.kind" value="pivot"/>
    </zeebe:properties></extensionElements></serviceTask>
    {ways}
  </process>
  <message id="stop" name="stop"><extensionElements>
    <zeebe:subscription correlationKey="={by}"/></extensionElements></message>
  <message id="halt" name="halt"/>
</definitions>
"""
A_WAY = """
    <subProcess id="on_{0}" triggeredByEvent="true">
      <startEvent id="{0}_told"><messageEventDefinition messageRef="{0}"/></startEvent>
      <endEvent id="{0}_undone"><compensateEventDefinition/></endEvent>
    </subProcess>
"""


class Said(NamedTuple):
    code: int | str | None
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeptHistory]:
    """The engine's history, in a project of one service."""
    name = f"shop_{tmp_path.name}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "stock.py").write_text(SERVICE)
    table = f'[tool.sagaworks]\nservices = ["{name}.stock:stock"]\n'
    (tmp_path / "pyproject.toml").write_text(table)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(tmp_path)
    kept = KeptHistory(f"sqlite:///{tmp_path}/history.db")
    kept.prepare()
    server = HistoryServer(kept)
    monkeypatch.setenv("SAGAWORKS_HISTORY", server.url)
    monkeypatch.setenv("ZEEBE_ADDRESS", "127.0.0.1:1")
    yield kept
    server.close()
    kept.close()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["sagaworks", "cancel", KEY, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the engine was asked for."""
    asked: list[object] = []

    async def note(_gateway: Gateway, *what: object, **more: object) -> None:
        asked.extend([*what, *more.values()])

    monkeypatch.setattr(Gateway, "cancel", note)
    monkeypatch.setattr(Gateway, "publish", note)
    return asked


def running(*ways: str, by: str = "saga_key") -> list[dict[str, Any]]:
    drawn = "".join(A_WAY.format(way) for way in ways)
    xml = DIAGRAM.format(ways=drawn, by=by).encode()
    begun = process(2, "ELEMENT_ACTIVATING")
    return [deployed(1, xml), begun, variable(3, "saga_key", KEY)]


def test_a_key_that_nobody_knows(history: KeptHistory, run: Run, asked: list[object]) -> None:
    said = run()

    assert (said.code, asked) == (1, [])
    assert said.err == f"sagaworks: {KEY}: the engine's history knows no saga with this key\n"


@pytest.mark.parametrize(
    "last, word", [("ELEMENT_COMPLETED", "has ended"), ("ELEMENT_TERMINATED", "was cancelled")]
)
def test_a_saga_that_is_over(
    history: KeptHistory, run: Run, asked: list[object], last: str, word: str
) -> None:
    history.take([*running(), process(9, last)])

    said = run()

    assert (said.code, asked) == (1, [])
    assert f"{KEY}: it {word} already" in said.err


def test_a_saga_past_its_pivot(history: KeptHistory, run: Run, asked: list[object]) -> None:
    history.take([*running("stop"), element(4, "ELEMENT_COMPLETED", 40, "charge_card")])

    said = run()

    assert (said.code, asked) == (1, [])
    assert "it is past its pivot, charge_card, and can only go forward" in said.err


def test_a_saga_whose_pivot_may_be_done_by_a_record_that_can_not_be_read(
    history: KeptHistory, run: Run, asked: list[object]
) -> None:
    history.take(
        [*running("stop"), element(4, "ELEMENT_COMPLETED", 40, "charge_card", elementId=4)]
    )

    said = run()

    assert (said.code, asked) == (1, [])
    assert f"{KEY}: history can't read what the engine wrote at position 4" in said.err
    assert said.err.endswith("nothing was cancelled\n")


def test_two_instances_with_one_key(history: KeptHistory, run: Run, asked: list[object]) -> None:
    another = variable(5, "saga_key", KEY, processInstanceKey=OTHER, scopeKey=OTHER)
    history.take([*running(), process(4, "ELEMENT_ACTIVATING", OTHER), another])

    said = run()

    assert (said.code, asked) == (1, [])
    assert f"process instances {ORDER} and {OTHER} run with this key" in said.err


def test_a_saga_that_another_has_called(
    history: KeptHistory, run: Run, asked: list[object]
) -> None:
    called = process(2, "ELEMENT_ACTIVATING", parentProcessInstanceKey=OTHER)
    history.take([running()[0], called, variable(3, "saga_key", KEY)])

    said = run()

    assert (said.code, asked) == (1, [])
    assert f"process instance {OTHER} has called it" in said.err


def test_a_saga_whose_diagram_nobody_knows(
    history: KeptHistory, run: Run, asked: list[object]
) -> None:
    history.take(running()[1:])

    said = run()

    assert (said.code, asked) == (1, [])
    assert "it isn't known whether its pivot is done" in said.err


@pytest.mark.parametrize(
    "drawn, by, arguments, why",
    [
        (["stop", "halt"], "saga_key", [], "several ways to be cancelled, by stop, halt: name one"),
        (["stop"], "saga_key", ["--message", "sotp"], "begins by message sotp; known: stop"),
        (["stop"], "order_id", [], "message stop is correlated by order_id, not by saga_key"),
        (["halt"], "saga_key", [], "message halt is correlated by nothing"),
    ],
)
def test_a_way_that_can_not_be_taken(  # noqa: PLR0917  a table's columns
    history: KeptHistory,
    run: Run,
    asked: list[object],
    drawn: list[str],
    by: str,
    arguments: list[str],
    why: str,
) -> None:
    history.take(running(*drawn, by=by))

    said = run(*arguments)

    assert (said.code, asked) == (1, [])
    assert why in said.err


def test_the_way_that_is_named_is_taken_now_or_not_at_all(
    history: KeptHistory, run: Run, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sagaworks.cancel.cancel.CAUGHT_WITHIN", timedelta(seconds=0.2))
    history.take(running("stop", "halt"))

    said = run("--message", "stop", "--wait", "0")

    assert asked == ["stop", KEY, {}, timedelta()]
    assert said.code == 1
    assert "nothing caught stop" in said.err


def test_without_a_way_the_engine_is_asked_for_it(
    history: KeptHistory, run: Run, asked: list[object]
) -> None:
    history.take(running())

    said = run("--wait", "0")

    assert (said.code, asked) == (3, [ORDER])
    assert "each service's reconciler undoes" in said.out
    assert "asked for, and not ended yet" in said.out
    assert "stock can't be asked" in said.err


def test_an_engine_that_is_away_is_one_line(history: KeptHistory, run: Run) -> None:
    history.take(running())

    said = run("--wait", "0")

    assert said.code == 1
    assert said.err.startswith("sagaworks: no engine answers at 127.0.0.1:1")


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    "found, code, told",
    [
        (Cancelled(Fate.UNDONE, WAY, undone=("stock.hold",)), 3, "ended; undone: stock.hold"),
        (
            Cancelled(Fate.GOES_ON, WAY, ended_at=("too_late",)),
            1,
            "its diagram says no, at too_late",
        ),
        (Cancelled(Fate.NOT_CAUGHT, WAY), 1, "nothing caught trip_cancelled"),
        (
            Cancelled(
                Fate.LEFT, None, left=(Difference("stock", KEY, What.STRANDED, "no", step="hold"),)
            ),
            3,
            f"stock {KEY} hold: stranded: no",
        ),
    ],
    ids=["undone-but-stock-can-not-say", "goes-on", "not-caught", "left"],
)
def test_what_became_of_it_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, found: Cancelled, code: int, told: str
) -> None:
    monkeypatch.setattr("sagaworks.cancel.cancel_saga", lambda *_, **__: found)

    said = run()

    assert said.code == code
    assert told in said.out + said.err
    assert f"next: sagaworks trail {KEY}" in said.out
