"""`sagaworks draw`: each kind of element by its look, in real pixels where they count."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from lxml import etree

from sagaworks.errors import ContractError
from sagaworks.picture import Mark, draw
from sagaworks.picture.browser import BrowserError
from sagaworks.picture.legend import Legend
from sagaworks.picture.paint import INK, PAINTS
from sagaworks.picture.raster import as_png
from tests.pictures.conftest import Seen

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EVERYTHING = HERE / "everything.bpmn"
PLACE_ORDER = ROOT / "bpmn" / "place_order.bpmn"
SVG = "{http://www.w3.org/2000/svg}"

LEFT, TOP = 96, 56
"""Where the picture of EVERYTHING begins, in the diagram's pixels."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def groups() -> Mapping[str, etree._Element]:
    """What is drawn for each element of EVERYTHING, by its id."""
    root = etree.fromstring(draw(EVERYTHING))
    return {one.get("data-element-id"): one for one in root.iter(f"{SVG}g")}


@pytest.fixture(scope="module")
def seen(browser_program: Path) -> Seen:
    """EVERYTHING in pixels, one for one; two things are painted."""
    marks = {"serviceTask_1": Mark("refused", "OUT_OF_STOCK"), "e_error": Mark("done")}
    return Seen.of(as_png(draw(EVERYTHING, marks), scale=1, program=browser_program))


@pytest.fixture
def command(tmp_path: Path) -> Run:
    def run(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = {"PYTHONPATH": str(ROOT), "PATH": path or ""}
        program = [sys.executable, "-m", "sagaworks.cli", *arguments]
        return subprocess.run(
            program, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True
        )

    return run


def paths(group: etree._Element) -> list[str]:
    """The paths, told apart from their place."""
    return [one.get("d").partition("m")[2] for one in group.iter(f"{SVG}path")]


def strokes(group: etree._Element) -> list[str | None]:
    return [one.get("stroke-width") for one in group.iter(f"{SVG}rect", f"{SVG}circle")]


TASKS = ["task", "serviceTask", "userTask", "manualTask", "scriptTask", "businessRuleTask"]
TASKS += ["sendTask", "receiveTask"]


def test_each_kind_of_task_has_an_icon_of_its_own(groups: Mapping[str, etree._Element]) -> None:
    looks = {kind: str(etree.tostring(groups[f"{kind}_1"])) for kind in TASKS}

    assert paths(groups["task_1"]) == []
    icons = {kind: (*paths(groups[f"{kind}_1"]), "filled" * (kind == "sendTask")) for kind in looks}
    assert len(set(icons.values())) == len(TASKS)


@pytest.mark.parametrize("kind", ["startEvent", "intermediateThrowEvent", "endEvent"])
def test_each_kind_of_event_is_told_from_the_others(
    groups: Mapping[str, etree._Element], kind: str
) -> None:
    ids = [one.get("id") for one in etree.parse(EVERYTHING).iter(f"{{*}}{kind}")]
    icons = [tuple(paths(groups[id_])) for id_ in ids if id_ in groups and "sub" not in id_]

    assert len({icon for icon in icons if icon}) >= 4


def test_gateways_differ(groups: Mapping[str, etree._Element]) -> None:
    kinds = ["exclusive", "parallel", "inclusive", "eventBased", "complex"]

    assert len({tuple(paths(groups[f"{kind}Gateway_1"])) for kind in kinds}) == len(kinds)


def test_a_call_activity_has_a_thick_border(groups: Mapping[str, etree._Element]) -> None:
    assert strokes(groups["callActivity_1"]) == ["4"]
    assert strokes(groups["serviceTask_1"])[0] == "2"


@pytest.mark.parametrize("id_, dashes", [("esub", "0.5 5"), ("sub", None)])
def test_an_event_sub_process_is_dotted(
    groups: Mapping[str, etree._Element], id_: str, dashes: str | None
) -> None:
    assert groups[id_].find(f"{SVG}rect").get("stroke-dasharray") == dashes


def test_what_does_not_interrupt_has_dashed_rings(groups: Mapping[str, etree._Element]) -> None:
    dashes = {
        id_: [ring.get("stroke-dasharray") for ring in groups[id_].iter(f"{SVG}circle")]
        for id_ in ("b_timer", "b_error", "es_s")
    }

    assert dashes == {"b_timer": ["5 3", "5 3"], "b_error": [None, None], "es_s": ["5 3"]}


def test_loops_and_lists_are_marked_at_the_lower_edge(
    groups: Mapping[str, etree._Element],
) -> None:
    ids = ["m200", "m320", "m440", "undo", "col", "adhoc"]

    assert len({paths(groups[id_])[-1] for id_ in ids}) == len(ids)


def test_a_long_name_is_made_small_and_then_cut(groups: Mapping[str, etree._Element]) -> None:
    texts = [one.text or "" for one in groups["verylong"].iter(f"{SVG}text")]

    assert texts[-1].endswith("…")
    assert all(one.get("font-size") == "9" for one in groups["verylong"].iter(f"{SVG}text"))


def test_a_long_word_is_broken_at_its_underscores(groups: Mapping[str, etree._Element]) -> None:
    texts = [one.text for one in groups["idlike"].iter(f"{SVG}text")]

    assert texts == ["confirm_the_", "reservation_of_", "everything_booked_", "before"]


def test_a_flow_by_default_and_one_with_a_condition_are_told_apart(
    groups: Mapping[str, etree._Element],
) -> None:
    assert len({len(paths(groups[id_])) for id_ in ("f_def", "f_cond")}) == 1
    assert {groups[id_][1].get("d") for id_ in ("f_def", "f_cond")} == {
        "M7 5.5L13 -5.5",
        "M0 0L8 -5L16 0L8 5z",
    }


def test_what_a_closed_sub_process_holds_is_not_drawn_over_the_rest(tmp_path: Path) -> None:
    """The Modeler keeps it in a plane of its own, in the same coordinates."""
    path = tmp_path / "closed.bpmn"
    inner = (
        '<bpmndi:BPMNShape bpmnElement="task_1"><dc:Bounds x="9000" y="0" width="9" height="9"/>'
    )
    plane = f"<bpmndi:BPMNDiagram><bpmndi:BPMNPlane>{inner}</bpmndi:BPMNShape></bpmndi:BPMNPlane>"
    text = EVERYTHING.read_text()
    path.write_text(text.replace("</definitions>", f"{plane}</bpmndi:BPMNDiagram></definitions>"))

    assert draw(path) == draw(EVERYTHING)


def test_the_colours_of_the_diagram_itself_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "coloured.bpmn"
    colour = 'xmlns:bioc="http://bpmn.io/schema/bpmn/biocolor/1.0" bioc:fill="#bbdefb"'
    text = EVERYTHING.read_text()
    path.write_text(text.replace('bpmnElement="task_1"', f'bpmnElement="task_1" {colour}'))

    assert "#bbdefb" in draw(path)


def test_a_colour_that_is_none_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "coloured.bpmn"
    colour = 'xmlns:bioc="http://bpmn.io/schema/bpmn/biocolor/1.0" bioc:fill="url(//elsewhere)"'
    text = EVERYTHING.read_text()
    path.write_text(text.replace('bpmnElement="task_1"', f'bpmnElement="task_1" {colour}'))

    assert draw(path) == draw(EVERYTHING)


@pytest.mark.parametrize("wrong", ['x="here"', 'x="NaN"', 'x="1e300"', ""])
def test_a_layout_that_is_none_is_said_with_its_line(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "broken.bpmn"
    path.write_text(EVERYTHING.read_text().replace('<dc:Bounds x="120"', f"<dc:Bounds {wrong}", 1))

    with pytest.raises(ContractError, match=r"broken.bpmn:\d+: its layout has no such place"):
        draw(path)


def test_a_legend_stands_below_and_names_the_picture() -> None:
    legend = Legend("order-42: undone", {"done": "done", "refused": "refused"})
    plain, explained = (
        etree.fromstring(one) for one in (draw(PLACE_ORDER), draw(PLACE_ORDER, legend=legend))
    )

    assert explained.findtext(f"{SVG}title") == "order-42: undone"
    assert float(explained.get("height")) > float(plain.get("height"))
    assert "refused" in [one.text for one in explained.iter(f"{SVG}text")]


# In pixels, by the real Chromium.


def test_a_painted_task_has_its_colour_and_a_plain_one_none(seen: Seen) -> None:
    assert seen.at(400 - LEFT, 170 - TOP) == PAINTS["refused"].fill
    assert seen.at(280 - LEFT, 170 - TOP) == "#ffffff"


def test_a_badge_is_seen_at_the_corner(seen: Seen) -> None:
    assert seen.at(378 - LEFT, 90 - TOP) == PAINTS["refused"].line


def test_a_painted_event_has_its_colour(seen: Seen) -> None:
    assert seen.at(858 - LEFT, 424 - TOP) == PAINTS["done"].fill


@pytest.mark.parametrize("left, top", [(305, 105), (665, 105), (785, 105), (905, 105), (545, 105)])
def test_an_icon_is_seen_in_the_corner_of_a_task(seen: Seen, left: int, top: int) -> None:
    assert seen.darkest(left + 20 - LEFT, top - TOP, 24, 24) < 120


@pytest.mark.parametrize("x", [380, 500, 620, 740, 860])
def test_signs_are_seen_at_the_lower_edge(seen: Seen, x: int) -> None:
    assert seen.darkest(x - 20 - 60 - LEFT, 268 - TOP, 40, 18) < 120


def test_the_picture_is_as_large_as_asked(browser_program: Path) -> None:
    once = Seen.of(as_png(draw(PLACE_ORDER), scale=1, program=browser_program))
    twice = Seen.of(as_png(draw(PLACE_ORDER), scale=2, program=browser_program))

    assert once.image.size == (1250, 478)
    assert twice.image.size == (2500, 956)


def test_the_line_of_a_border_is_dark(seen: Seen) -> None:
    assert seen.at(200 - LEFT, 140 - TOP) == INK


def test_a_picture_too_large_for_the_browser_is_refused(browser_program: Path) -> None:
    with pytest.raises(BrowserError, match=r"take a smaller --scale, or write an \.svg"):
        as_png(draw(PLACE_ORDER), scale=20, program=browser_program)


def test_a_browser_that_ends_at_once_is_one_line(tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)

    with pytest.raises(BrowserError, match=r"install Chromium .* or write an .svg"):
        as_png(draw(PLACE_ORDER), program=program)


# The command.


def test_the_command_writes_both_kinds(command: Run, browser_program: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "chromium").symlink_to(browser_program)

    for name in ("a.svg", "a.PNG"):
        ran = command("draw", str(PLACE_ORDER), "-o", name, path=f"{folder}:/usr/bin:/bin")
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"wrote {name}\n", "")

    assert (tmp_path / "a.svg").read_text() == draw(PLACE_ORDER)
    assert (tmp_path / "a.PNG").read_bytes()[:4] == b"\x89PNG"


def test_without_a_file_the_svg_is_printed(command: Run) -> None:
    assert command("draw", str(PLACE_ORDER)).stdout == draw(PLACE_ORDER)


def test_without_chromium_a_png_is_refused_with_a_remedy(command: Run, tmp_path: Path) -> None:
    ran = command("draw", str(PLACE_ORDER), "-o", "a.png")

    assert ran.returncode == 1
    assert ran.stderr.startswith("sagaworks: no Chromium on this machine: install Chromium")
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "a.png").exists()


def test_a_diagram_without_a_layout_is_refused_with_a_remedy(command: Run, tmp_path: Path) -> None:
    head, _, _ = PLACE_ORDER.read_text().partition("<bpmndi:BPMNDiagram")
    (tmp_path / "bare.bpmn").write_text(f"{head}</bpmn:definitions>")
    ran = command("draw", "bare.bpmn")

    assert ran.returncode == 1
    assert ran.stderr.startswith("sagaworks: bare.bpmn: has no layout: ")


@pytest.mark.parametrize(
    "arguments, code, complaint",
    [
        (["nowhere.bpmn"], 1, "sagaworks: nowhere.bpmn: can't be read"),
        ([str(PLACE_ORDER), "-o", "a.gif"], 2, "must end in .svg or .png"),
        ([str(PLACE_ORDER), "-o", "no/a.svg"], 1, "No such file"),
        ([str(ROOT / "LICENSE")], 1, "not XML"),
    ],
)
def test_a_mistake_is_one_line(
    command: Run, arguments: list[str], code: int, complaint: str
) -> None:
    ran = command("draw", *arguments)

    assert ran.returncode == code
    assert complaint in ran.stderr
    assert "Traceback" not in ran.stderr
