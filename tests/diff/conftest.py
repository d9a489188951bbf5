"""A saga of two steps, one of them undone on any refusal, drawn as text that tests change."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from sagaworks.diff import Comparison, compare

NEWER = (8, 8)

Versions = Callable[..., Path]


def drawn(  # noqa: PLR0917  what the versions differ in
    steps: tuple[str, ...] = ("hold", "charge"),
    undo: str = "release",
    event: str = "hold_undone_by",
    scope: str = "undo_all",
    code: str = "",
    inner: str = "",
) -> str:
    """Return the diagram; `undo` empty: nothing undoes it; `scope` empty: nothing throws."""
    flows = ["begun", *steps, "ended"]
    error = ' errorRef="error"' if code else ""
    handler = f"""<boundaryEvent id="{event}" attachedToRef="hold">
      <compensateEventDefinition id="c1" /></boundaryEvent>{task(undo, comp=True)}"""
    undoing = f"""<subProcess id="{scope}" triggeredByEvent="true">
      <startEvent id="refused"><errorEventDefinition id="e1"{error} /></startEvent>
      <intermediateThrowEvent id="throw"><compensateEventDefinition id="c2" />
      </intermediateThrowEvent><endEvent id="undone" />
      <sequenceFlow id="u1" sourceRef="refused" targetRef="throw" />
      <sequenceFlow id="u2" sourceRef="throw" targetRef="undone" /></subProcess>"""
    joined = f'<association id="j" sourceRef="{event}" targetRef="{undo}" />'
    return f"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
      xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="urn:test" id="d">
      {f'<error id="error" errorCode="{code}" />' if code else ""}
      <process id="buy" isExecutable="true"><startEvent id="begun" />
      {"".join(task(one) for one in steps)}<endEvent id="ended" />
      {"".join(flow(*pair) for pair in pairwise(flows))}
      {handler if undo else ""}{undoing if scope else ""}{inner}{joined if undo else ""}
      </process></definitions>"""


def task(id_: str, job_type: str = "", *, comp: bool = False) -> str:
    how = ' isForCompensation="true"' if comp else ""
    return f"""<serviceTask id="{id_}"{how}><extensionElements>
      <zeebe:taskDefinition type="{job_type or "shop." + id_}" />
      </extensionElements></serviceTask>"""


def flow(source: str, target: str) -> str:
    return f'<sequenceFlow id="{source}_{target}" sourceRef="{source}" targetRef="{target}" />'


@pytest.fixture
def version(tmp_path: Path) -> Versions:
    """Write a version of the diagram; return its file."""

    def version(name: str, *replaced: tuple[str, str], **differs: object) -> Path:
        text = drawn(**differs)
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name / "buy.bpmn"
        path.parent.mkdir()
        path.write_text(text)
        return path

    return version


@pytest.fixture
def compared(version: Versions) -> Callable[..., Comparison]:
    def compared(*replaced: tuple[str, str], **differs: object) -> Comparison:
        return compare(version("old"), version("new", *replaced, **differs), NEWER)

    return compared
