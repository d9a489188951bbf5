"""Whatever file is given, the answer is a line with the place: never a trace, never a long wait."""

import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sagaworks.check import check
from sagaworks.project import Project
from tests.check.sketch import NAMESPACES, Sketch
from tests.check.sketches import begun, sale

Told = Callable[[str | bytes], list[str]]

HEAD = (
    '<bpmn:definitions id="d" targetNamespace="shop" '
    + " ".join(f'xmlns:{name}="{uri}"' for name, uri in NAMESPACES.items())
    + ">\n"
)
ROOT = Path(__file__).parents[2]
PATIENCE = 3.0
"""Seconds of processor time that any file may take."""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Check a file of this content; return what is said, by lines."""
    monkeypatch.chdir(tmp_path)

    def told(content: str | bytes) -> list[str]:
        file = Path("saga.bpmn")
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        began = time.process_time()
        lines = [str(one) for one in check([file]) if one.severity == "error"]
        assert time.process_time() - began < PATIENCE
        return lines

    return told


def process(inner: str, attributes: str = 'isExecutable="true"') -> str:
    body = f'<bpmn:process id="saga" {attributes}>\n{inner}\n</bpmn:process>'
    return f"{HEAD}{body}\n</bpmn:definitions>"


def on_edge(host: str, event: str) -> str:
    inner = f"<bpmn:{event}EventDefinition/>"
    return f'<bpmn:boundaryEvent id="b" attachedToRef="{host}">{inner}</bpmn:boundaryEvent>'


def sold() -> str:
    sketch = Sketch("saga")
    sale(sketch)
    return sketch.xml()


@pytest.mark.parametrize(
    "content, line, words",
    [
        ("", 1, "not XML"),
        ("PK\x03\x04 a spreadsheet", 1, "not XML"),
        (b"\xff\xfe\x00<", 1, "not XML"),
        ('{"steps": []}', 1, "not XML"),
        ("<a>\n<b>\n</a>", 3, "not XML"),
        ("<html><body/></html>", 1, "not a BPMN 2.0 diagram"),
        ('<definitions xmlns="http://www.omg.org/spec/DMN/20180521/MODEL/"/>', 1, "not a BPMN"),
        (HEAD + "</bpmn:definitions>", 1, "no executable process"),
        (process("", ""), 1, "no executable process; in the Modeler, tick `Executable`"),
        ('<!DOCTYPE a SYSTEM "/etc/passwd"><a/>', 1, "has a DTD; a diagram needs none"),
    ],
)
def test_what_is_no_diagram_is_one_line(
    told: Told, content: str | bytes, line: int, words: str
) -> None:
    [said] = told(content)

    assert said.startswith(f"saga.bpmn:{line}: "), said
    assert words in said


def test_a_diagram_for_camunda_7_is_told_with_what_to_do(told: Told) -> None:
    [said] = told(
        process('<bpmn:serviceTask id="hold" camunda:type="external" camunda:topic="hold"/>')
        .replace("http://camunda.org/schema/zeebe/1.0", "http://camunda.org/schema/1.0/bpmn")
        .replace("xmlns:zeebe", "xmlns:camunda")
    )

    assert "a diagram for Camunda 7" in said
    assert "draw it anew as a Camunda 8 diagram" in said


@pytest.mark.parametrize("tool", ["Signavio Process Editor, http://www.signavio.com", "Flowable"])
def test_a_file_of_another_modeler_is_told_once_however_many_tasks_it_has(
    told: Told, tool: str
) -> None:
    tasks = "".join(f'<bpmn:serviceTask id="a{n}"/>' for n in range(50))
    content = process(tasks).replace(' xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"', "")
    [said] = told(content.replace(' id="d"', f' id="d" exporter="{tool}"'))

    assert f"drawn with {tool}, without the extensions of Camunda 8" in said
    assert said.startswith("saga.bpmn:2 saga: ")


def test_several_processes_are_one_line_at_the_second(told: Told) -> None:
    second = '\n<bpmn:process id="other" isExecutable="true"/>'
    [said] = told(sold().replace("</bpmn:process>", f"</bpmn:process>{second}", 1))

    assert "a second process, `other`; one file holds one saga" in said


def test_of_several_pools_the_one_that_is_executed_is_checked(told: Told) -> None:
    pools = (
        '<bpmn:collaboration id="c"><bpmn:participant id="p" processRef="saga"/>'
        '<bpmn:participant id="q" name="Customer"/></bpmn:collaboration>'
    )

    assert told(sold().replace("<bpmn:process", f"{pools}<bpmn:process", 1)) == []


def test_a_pool_of_a_process_that_is_not_there_is_told(told: Told) -> None:
    pools = '<bpmn:collaboration id="c"><bpmn:participant id="p" processRef="gone"/>'
    text = sold().replace("<bpmn:process", f"{pools}</bpmn:collaboration><bpmn:process", 1)
    [said] = told(text)

    assert "p: `processRef` names `gone`, which isn't in the file" in said


@pytest.mark.parametrize(
    "right, wrong, words",
    [
        (
            'targetRef="ended"',
            'targetRef="gone"',
            "confirm_order_to_ended: `targetRef` names `gone`",
        ),
        ('sourceRef="begun"', 'sourceRef="gone"', "begun_to_hold_stock: `sourceRef` names `gone`"),
        ('Ref="hold_stock">', 'Ref="gone">', "hold_stock_undone: `attachedToRef` names `gone`"),
        ('yRef="charge_card"', 'yRef="gone"', "undo_charge_card: `activityRef` names `gone`"),
        ('targetRef="release_stock"', 'targetRef="gone"', "`targetRef` names `gone`"),
    ],
)
def test_a_reference_to_nothing_is_the_only_thing_told(
    told: Told, right: str, wrong: str, words: str
) -> None:
    [said] = told(sold().replace(right, wrong))

    assert words in said


@pytest.mark.parametrize(
    "right, wrong, words",
    [
        (
            'targetRef="ended"',
            'targetRef="hold_stock_di"',
            "`targetRef` names `hold_stock_di`, which",
        ),
        ('targetRef="ended"', "", "`targetRef` is missing"),
        ('Ref="hold_stock">', 'Ref="begun">', "`attachedToRef` names `begun`, which is of another"),
    ],
)
def test_a_reference_to_a_thing_of_another_sort_is_told(
    told: Told, right: str, wrong: str, words: str
) -> None:
    [said] = told(sold().replace(right, wrong))

    assert words in said


def test_a_reference_to_nothing_names_the_line(told: Told) -> None:
    text = sold().replace('targetRef="ended"', 'targetRef="gone"')
    line = text[: text.index('"gone"')].count("\n") + 1

    assert told(text)[0].startswith(f"saga.bpmn:{line} ")


def test_double_ids_are_told_each_but_no_more_than_ten(told: Told) -> None:
    assert len(told(process('<bpmn:task id="a"/>\n' * 3))) == 2
    assert len(told(process('<bpmn:task id="a"/>\n' * 500))) == 10


def test_50_megabytes_are_not_even_read(told: Told) -> None:
    [said] = told(b"<" * 50_000_000)

    assert said == "saga.bpmn: larger than 5 MB"


def test_200_000_elements_are_refused_at_once(told: Told) -> None:
    content = process("<bpmn:task/>" * 200_000)
    assert len(content) < 5_000_000

    [said] = told(content)

    assert "more than 50,000 XML elements; divide the saga by call activities" in said


def test_a_saga_of_20_000_tasks_is_refused(told: Told) -> None:
    [said] = told(process("".join(f'<bpmn:task id="t{n}"/>' for n in range(20_000))))

    assert "more than 1,000 drawn elements" in said


def test_the_largest_saga_that_is_checked_takes_no_long_time(told: Told) -> None:
    """490 steps in a row, each of them with a way out."""
    steps = range(490)
    tasks = "".join(
        f'<bpmn:serviceTask id="t{n}"/>'
        f'<bpmn:boundaryEvent id="b{n}" attachedToRef="t{n}"><bpmn:timerEventDefinition id="d{n}"/>'
        f'</bpmn:boundaryEvent><bpmn:sequenceFlow id="f{n}" sourceRef="t{n}" targetRef="t{n + 1}"/>'
        for n in steps
    )
    tasks = tasks.replace(f'targetRef="t{len(steps)}"', 'targetRef="t0"')

    assert told(process(f'<bpmn:startEvent id="s"/>{tasks}'))


def test_sub_processes_in_sub_processes_have_an_end(told: Told) -> None:
    deep = "".join(f'<bpmn:subProcess id="s{n}">' for n in range(200))
    told(process(deep + "</bpmn:subProcess>" * 200))

    deep = "".join(f'<bpmn:subProcess id="s{n}">' for n in range(300))
    [said] = told(process(deep + "</bpmn:subProcess>" * 300))

    assert "not XML: Excessive depth in document" in said


@pytest.mark.parametrize(
    "inner",
    [
        "<bpmn:serviceTask/>",
        '<bpmn:boundaryEvent id="b"/>',
        '<bpmn:sequenceFlow id="f"/>',
        '<bpmn:association id="a"/>',
        '<bpmn:subProcess id="p" triggeredByEvent="true"/>',
        '<bpmn:startEvent id="s"/><bpmn:sequenceFlow id="f" sourceRef="s" targetRef="s"/>',
        '<bpmn:endEvent id="e"><bpmn:compensateEventDefinition/></bpmn:endEvent>',
        on_edge("b", "timer"),
        on_edge("saga", "compensate"),
        '<bpmn:callActivity id="c"/>',
        '<bpmn:receiveTask id="r"/>',
        '<bpmn:task id="t"><bpmn:multiInstanceLoopCharacteristics/></bpmn:task>',
    ],
)
def test_half_drawn_elements_are_no_accident(told: Told, inner: str) -> None:
    told(process(inner))


def test_every_half_of_a_saga_is_answered(told: Told) -> None:
    """Each element of a whole saga is taken out in turn, as a merge by hand may do."""
    lines = sold().splitlines()
    drawn = [n for n, line in enumerate(lines) if "<bpmn:" in line and line.endswith("/>")]
    assert len(drawn) > 10

    for number in drawn:
        told("\n".join(lines[:number] + lines[number + 1 :]))


def test_the_command_answers_a_bad_file_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "saga.bpmn").write_text("no diagram")
    command = [sys.executable, "-m", "sagaworks.cli", "check", "--diagram-only", "saga.bpmn"]

    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ran.returncode == 3
    assert ran.stdout.startswith("saga.bpmn:1 error not-a-diagram: not XML")
    assert ran.stderr == ""


def test_good_and_bad_files_are_told_together(told: Told, tmp_path: Path) -> None:
    sketch = Sketch("good")
    begun(sketch)
    sketch.step("payments.charge_card")
    sketch.end()
    (tmp_path / "good.bpmn").write_text(sketch.xml())
    (tmp_path / "bad.bpmn").write_text("<")

    found = check([Path("bad.bpmn"), Path("good.bpmn")])

    assert [(one.path.name, one.rule) for one in found] == [
        ("bad.bpmn", "not-a-diagram"),
        ("good.bpmn", "no-undo"),
    ]


def test_two_files_with_one_process_are_told(told: Told, tmp_path: Path) -> None:
    for name in ("saga.bpmn", "copy.bpmn"):
        (tmp_path / name).write_text(sold())

    found = check([Path("saga.bpmn"), Path("copy.bpmn")])

    assert [(one.rule, one.path.name) for one in found] == [("several-processes", "copy.bpmn")]
    assert found[0].what == "a second process `saga`; the first is in saga.bpmn"


def test_a_copy_that_is_asked_about_takes_the_place_of_its_file(told: Told, tmp_path: Path) -> None:
    (tmp_path / "saga.bpmn").write_text(sold())
    (tmp_path / "copy.bpmn").write_text(sold().replace('retries="5"', 'retries="0"'))

    found = check([Path("saga.bpmn"), Path("copy.bpmn")], asked=[Path("copy.bpmn")])

    assert {one.rule for one in found} == {"retries"}
    assert {one.path.name for one in found} == {"copy.bpmn"}


SPOILS = 60
"""Diagrams that are spoiled at random in one run of the test; the seed is fixed."""


def spoiled(text: str, dice: random.Random) -> str:
    """Change some references and values, drop some lines, turn elements into others."""
    ids = re.findall(r'\bid="([^"]+)"', text)
    for _ in range(dice.randint(1, 4)):
        how = dice.randrange(4)
        if how == 0:
            text = changed(text, r'Ref="([^"]+)"', dice.choice(ids), dice)
        elif how == 1:
            text = changed(text, r'="([^"]*)"', dice.choice(["", "0", "=", "true", "x"]), dice)
        elif how == 2:
            lines = text.splitlines(keepends=True)
            alone = [n for n, line in enumerate(lines) if line.rstrip().endswith("/>")]
            del lines[dice.choice(alone)]
            text = "".join(lines)
        else:
            one, other = dice.sample(["serviceTask", "subProcess", "endEvent", "task", "gate"], 2)
            text = text.replace(f"bpmn:{one} ", f"bpmn:{other} ")
            text = text.replace(f"bpmn:{one}>", f"bpmn:{other}>")
    return text


def changed(text: str, pattern: str, value: str, dice: random.Random) -> str:
    spot = dice.choice(list(re.finditer(pattern, text)))
    return text[: spot.start(1)] + value + text[spot.end(1) :]


@pytest.mark.parametrize("saga", ["place_order", "book_trip"])
def test_whatever_a_file_is_spoiled_by_it_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saga: str
) -> None:
    project = Project.load(ROOT)
    services = project.load_services()
    text = (ROOT / "bpmn" / f"{saga}.bpmn").read_text()
    dice = random.Random(saga)  # noqa: S311  the same each time, and no secret
    monkeypatch.chdir(tmp_path)

    for _ in range(SPOILS):
        Path("saga.bpmn").write_text(spoiled(text, dice))
        for found in (check([Path("saga.bpmn")]), check([Path("saga.bpmn")], services)):
            assert all("\n" not in str(one) for one in found)
