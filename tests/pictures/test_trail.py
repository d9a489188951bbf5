"""`sagaworks trail KEY --picture`: a saga's way on its diagram, as the engine has recorded it."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from sagaworks.cli import main
from sagaworks.diagram import read_diagram
from sagaworks.history import Element, HistoryUnavailable, Known, MemoryHistory
from sagaworks.picture import Mark
from sagaworks.picture.of_trail import NoPictureError, of_history, of_ledgers
from sagaworks.picture.paint import PAINTS
from sagaworks.picture.raster import as_png
from sagaworks.picture.way import Way, in_doubt, paint_way, read_way
from sagaworks.trail import Trail
from tests.pictures.conftest import Seen
from tests.pictures.orders import KEYS, PLACE_ORDER, ROOT, history

SVG = "{http://www.w3.org/2000/svg}"

Entry = dict[str, object]


@pytest.fixture(scope="module")
def told() -> MemoryHistory:
    return history()


@pytest.fixture(scope="module")
def ways(told: MemoryHistory) -> Mapping[str, Way]:
    diagram = read_diagram(PLACE_ORDER)
    return {key: read_way(known(told, key), diagram) for key in KEYS}


def known(told: MemoryHistory, key: str) -> Known:
    return Known.of(told, told.instances(key)[-1])


def states(way: Way) -> dict[str, str]:
    return {id_: mark.state for id_, mark in paint_way(way).items()}


def executed(step: str, *, doubtful: bool = False) -> Entry:
    at = "2026-01-01T00:00:00.000+00:00"
    return {"step": step, "element": step, "event": "executed", "at": at, "in_doubt": doubtful}


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in etree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    "key, fate",
    [
        ("shipped", "done"),
        ("no-carrier", "undone"),
        ("nothing", "undone"),
        ("overdue", "undone"),
        ("waiting", "running"),
        ("cancelled", "cancelled"),
        ("stuck", "stuck"),
    ],
)
def test_what_became_of_a_saga(ways: Mapping[str, Way], key: str, fate: str) -> None:
    assert ways[key].fate == fate


def test_a_saga_that_went_through_is_green_and_no_more(ways: Mapping[str, Way]) -> None:
    found = states(ways["shipped"])

    assert set(found.values()) == {"done"}
    assert {"order_shipped", "ship_stock_to_order_shipped"} <= set(found)
    assert "payment_overdue" not in found


def test_tasks_are_numbered_in_the_order_of_their_beginning(ways: Mapping[str, Way]) -> None:
    marks = paint_way(ways["no-carrier"])

    assert marks["book_shipment"] == Mark("refused", "4 NO_CARRIER")
    assert marks["hold_stock"] == Mark("undone", "2")
    assert marks["refund_card"] == Mark("undone", "5")
    assert marks["reject_order"] == Mark("undone", "7")


def test_the_way_back_is_told_from_the_way_there(ways: Mapping[str, Way]) -> None:
    found = states(ways["no-carrier"])

    assert found["hold_stock_to_charge_card"] == "done"
    assert found["undo_order"] == "undone"
    assert {id_: found[id_] for id_ in ("release_the_stock", "order_undone")} == {
        "release_the_stock": "undone",
        "order_undone": "undone",
    }
    assert found["refund_the_card_to_release_the_stock"] == "undone"


def test_a_step_that_a_timer_took_away_has_not_refused(ways: Mapping[str, Way]) -> None:
    found = states(ways["overdue"])

    assert found["charge_card"] == "taken_away"
    assert found["payment_overdue"] == "done"
    assert found["not_paid_in_time"] == "done"


def test_a_step_that_waits_and_one_that_is_stuck(ways: Mapping[str, Way]) -> None:
    assert states(ways["waiting"])["charge_card"] == "waiting"
    assert paint_way(ways["stuck"])["charge_card"] == Mark("stuck", "3 incident")
    assert ways["stuck"].title == "stuck: stuck, EXTRACT_VALUE_ERROR at charge_card"


def test_an_element_that_ran_several_times_says_how_often_and_how_the_worst_went(
    told: MemoryHistory,
) -> None:
    """As in a multi-instance: two travellers booked, the third refused."""
    one = known(told, "no-carrier")
    hold = next(run for run in one.elements if run.id == "charge_card")
    more = [replace(hold, key=key, id="book_shipment") for key in (1, 2)]
    way = read_way(replace(one, elements=[*one.elements, *more]))

    assert paint_way(way)["book_shipment"] == Mark("refused", "1 of 3 NO_CARRIER")


def test_a_list_counts_its_items_and_not_itself(told: MemoryHistory) -> None:
    one = known(told, "shipped")
    hold = next(run for run in one.elements if run.id == "hold_stock")
    body = replace(hold, key=1, kind="MULTI_INSTANCE_BODY")
    way = read_way(replace(one, elements=[*one.elements, body]))

    assert paint_way(way)["hold_stock"] == Mark("done", "2")


def test_a_list_that_was_undone_is_painted_so_though_only_its_body_is_named(
    told: MemoryHistory,
) -> None:
    one = known(told, "no-carrier")
    others = [run for run in one.elements if run.id != "hold_stock"]
    (hold,) = [run for run in one.elements if run.id == "hold_stock"]
    inner = [replace(hold, key=key, scope=hold.key) for key in (1, 2)]
    body = replace(hold, kind="MULTI_INSTANCE_BODY")
    way = read_way(replace(one, elements=[*others, body, *inner]))

    assert paint_way(way)["hold_stock"] == Mark("undone", "2 times")


def test_what_a_service_has_undone_by_itself_is_painted_undone(told: MemoryHistory) -> None:
    """The engine took the payment away, and heard no more of it; the ledger says what became."""
    entries = [executed("charge_card"), executed("charge_card") | {"event": "undone"}]
    entries += [executed("accept_order"), executed("hold_stock")]
    svg = of_history(told, "cancelled", entries)

    assert svg is not None
    assert painted(svg, "charge_card") == PAINTS["undone"].fill
    assert painted(svg, "hold_stock") == PAINTS["done"].fill


def painted(svg: str, id_: str) -> str | None:
    (group,) = etree.fromstring(svg).iterfind(f".//{SVG}g[@data-element-id='{id_}']")
    return group.find(f"{SVG}rect").get("fill")


def test_flows_taken_several_times_are_counted(told: MemoryHistory) -> None:
    one = known(told, "shipped")
    flow: Element = next(run for run in one.elements if run.kind == "SEQUENCE_FLOW")
    way = read_way(replace(one, elements=[*one.elements, replace(flow, key=1)]))

    assert paint_way(way)[flow.id] == Mark("done", "2 times")


def test_what_is_in_doubt_comes_from_the_ledgers(told: MemoryHistory) -> None:
    entries = [executed("hold_stock"), executed("charge_card", doubtful=True)]
    svg = of_history(told, "waiting", entries)

    assert in_doubt(entries) == {"charge_card"}
    assert svg is not None
    assert PAINTS["in_doubt"].fill in svg
    assert "in doubt" in texts(svg)


def test_the_legend_says_whose_way_it_is_and_only_what_is_seen(told: MemoryHistory) -> None:
    svg = of_history(told, "overdue", [])

    assert svg is not None
    assert texts(svg)[-4:] == ["overdue: undone", "done", "undone", "taken away"]


def test_no_value_is_in_the_picture(told: MemoryHistory) -> None:
    """The engine's own words about the incident quote a variable."""
    svg = of_history(told, "stuck", [])

    assert any("nonsense" in one.message for one in known(told, "stuck").incidents)
    assert svg is not None
    assert "nonsense" not in svg


def test_a_saga_that_history_does_not_know_has_no_picture(told: MemoryHistory) -> None:
    assert of_history(told, "nobody", []) is None


def test_from_ledgers_the_diagram_is_the_one_with_these_steps(tmp_path: Path) -> None:
    other = tmp_path / "other.bpmn"
    other.write_text(PLACE_ORDER.read_text().replace("hold_stock", "hold_seat"))
    svg = of_ledgers([other, PLACE_ORDER], "order-42", [executed("hold_stock")])

    assert 'data-element-id="hold_stock"' in svg
    assert "order-42, as its services tell it" in texts(svg)


def test_a_trail_that_no_diagram_has_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.bpmn"
    broken.write_text("no")

    with pytest.raises(NoPictureError, match="no diagram of the project has the steps"):
        of_ledgers([PLACE_ORDER], "order-42", [executed("bake_cake")])
    with pytest.raises(NoPictureError, match=r"broken.bpmn:1: not XML"):
        of_ledgers([broken], "order-42", [executed("bake_cake")])


def test_painted_elements_are_seen_in_their_colours(
    told: MemoryHistory, browser_program: Path
) -> None:
    """In the picture's pixels: the diagram begins at 112, 56."""
    svg = of_history(told, "no-carrier", [])
    assert svg is not None
    seen = Seen.of(as_png(svg, scale=1, program=browser_program))

    middle = {"accept_order": 290, "hold_stock": 450, "charge_card": 610, "book_shipment": 850}
    fills = {id_: seen.at(x - 40 - 112, 145 - 56) for id_, x in middle.items()}
    assert fills == {
        "accept_order": PAINTS["undone"].fill,
        "hold_stock": PAINTS["undone"].fill,
        "charge_card": PAINTS["undone"].fill,
        "book_shipment": PAINTS["refused"].fill,
    }


# The command.


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Run the command in a project with our diagram; nobody's services run."""
    (tmp_path / "pyproject.toml").write_text(
        "[tool.sagaworks]\nservices = ['workers.orders:orders']\n"
    )
    (tmp_path / "bpmn").mkdir()
    (tmp_path / "bpmn" / "place_order.bpmn").write_bytes(PLACE_ORDER.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGAWORKS_HISTORY", "http://127.0.0.1:9")

    def ask(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["sagaworks", "trail", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return ask


def test_the_command_writes_the_picture_that_history_gives(
    asked: Callable[..., int],
    told: MemoryHistory,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Though no service can be asked, which the exit code says."""
    monkeypatch.setattr("sagaworks.history.connect", lambda _, **__: told)

    assert asked("no-carrier", "--picture") == 3
    assert "wrote no-carrier.svg" in capsys.readouterr().out
    assert (tmp_path / "no-carrier.svg").read_text() == of_history(told, "no-carrier", [])


def test_without_history_the_ledgers_are_painted(
    asked: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trail = Trail("order/42", (executed("hold_stock") | {"process_instance": 1},))
    monkeypatch.setattr("sagaworks.trail.read_trail", lambda *_: trail)

    assert asked("order/42", "--picture") == 0
    said = capsys.readouterr()
    assert "wrote order-42.svg" in said.out
    assert "no history at http://127.0.0.1:9: nobody listens there; painted from" in said.err
    assert PAINTS["done"].fill in (tmp_path / "order-42.svg").read_text()


def test_a_file_without_a_picture_is_wrong_use(
    asked: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked("order-42", "-o", "a.svg") == 2
    assert "only with --picture" in capsys.readouterr().err


def test_history_that_is_away_is_no_trace(asked: Callable[..., int]) -> None:
    assert asked("order-42", "--picture") == 3
    assert issubclass(HistoryUnavailable, Exception)


def test_a_picture_is_there_within_two_seconds(told: MemoryHistory, tmp_path: Path) -> None:
    """Of the processor, in a process of its own, imports with it; how busy the machine is aside."""
    script = f"""
from tests.pictures.orders import history
from sagaworks.picture.of_trail import of_history
import pathlib
pathlib.Path({str(tmp_path / "a.svg")!r}).write_text(of_history(history(), "no-carrier", []))
"""
    before = os.times()
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)
    after = os.times()

    spent = after.children_user + after.children_system
    assert spent - before.children_user - before.children_system < 2
    assert (tmp_path / "a.svg").read_text() == of_history(told, "no-carrier", [])


def test_the_picture_in_the_pages_shows_the_saga_as_it_is_painted_now(told: MemoryHistory) -> None:
    """Else: write what is compared here into docs/pictures/place_order-trail.svg."""
    picture = ROOT / "docs" / "pictures" / "place_order-trail.svg"

    assert picture.read_text() == of_history(told, "overdue", [])
