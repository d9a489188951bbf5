"""Steps are picked in a real modeler, Camunda's embeddable one for Camunda 8, in a real browser.

It stands for the desktop Modeler, which is made of it; that one itself isn't run here.
"""

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from sagaworks.check import check
from sagaworks.picture.browser import Page
from sagaworks.project import Project
from sagaworks.templates import stale, write
from sagaworks.testing import Zeebe

ROOT = Path(__file__).parents[2]
PLACE_ORDER = ROOT / "bpmn" / "place_order.bpmn"
MODELER = ROOT / "tests" / "diagrams" / "node_modules" / "camunda-bpmn-js" / "dist"
STYLES = ("base-modeler.css", "properties-panel.css", "element-templates.css")

PAGE = """<!doctype html><meta charset="utf-8"><style>{styles}
  #canvas {{ position: absolute; inset: 0 320px 0 0 }}
  #panel {{ position: absolute; inset: 0 0 0 auto; width: 320px; overflow: auto }}
</style><div id="canvas"></div><div id="panel"></div><script>{code}</script>"""

OPEN = """(async () => {{
  window.modeler = new BpmnModeler({{
    container: '#canvas', propertiesPanel: {{ parent: '#panel' }},
  }});
  window.refused = [];
  modeler.get('eventBus').on('elementTemplates.errors', ({{ errors }}) => {{
    refused.push(...errors.map((error) => error.message));
  }});
  modeler.get('elementTemplatesLoader').setTemplates({templates});
  const {{ warnings }} = await modeler.importXML({xml});
  return [...refused, ...warnings.map((one) => one.message)];
}})()"""

PICK = """(() => {{
  const element = modeler.get('elementRegistry').get({element});
  const templates = modeler.get('elementTemplates');
  const offered = templates.getLatest({template}, element);
  templates.applyTemplate(element, offered[0]);
  return offered.length;
}})()"""


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("templates")
    write(folder, Project.load(ROOT).load_services())
    return folder


@pytest.fixture
def modeler(page: Page, templates: Path) -> Page:
    """The modeler over place_order before anybody has said what its tasks do."""
    if not MODELER.is_dir():
        pytest.skip("not run: the modeler isn't installed; `make tools` does it")
    code = (MODELER / "camunda-cloud-modeler.production.min.js").read_text()
    styles = "\n".join((MODELER / "assets" / name).read_text() for name in STYLES)
    page.resize(1600, 900)
    page.show("about:blank")
    page.write(PAGE.format(styles=styles, code=code.replace("</script", "<\\/script")))
    files = sorted(templates.glob("*.json"))
    known = [one for file in files for one in json.loads(file.read_text())]
    script = OPEN.format(templates=json.dumps(known), xml=json.dumps(undecided(PLACE_ORDER)))
    assert page.ask(script) == []
    return page


def undecided(diagram: Path) -> str:
    """The diagram as somebody draws it who only names the tasks."""
    said = r"<zeebe:taskDefinition [^>]*/>|<zeebe:properties>.*?</zeebe:properties>"
    bare = re.sub(said, "", diagram.read_text(), flags=re.DOTALL)
    return re.sub(r"<bpmn:extensionElements>\s*</bpmn:extensionElements>", "", bare)


def pick(page: Page, element: str, template: str) -> None:
    script = PICK.format(element=json.dumps(element), template=json.dumps(template))
    assert page.ask(script) == 1


def names(services: list) -> Mapping[str, str]:
    tasks = [t for one in services for t in (*one.steps.values(), *one.compensations.values())]
    return {task.name: f"sagaworks.{task.job_type}" for task in tasks}


def saved(page: Page, path: Path) -> Path:
    path.write_text(page.ask("modeler.saveXML({ format: true }).then(({ xml }) => xml)"))
    return path


def test_a_saga_whose_tasks_were_all_picked_is_right_and_deploys(
    modeler: Page, templates: Path, tmp_path: Path, zeebe: Zeebe
) -> None:
    services = Project.load(ROOT).load_services()
    before = tmp_path / "place_order.bpmn"
    before.write_text(undecided(PLACE_ORDER))
    assert [one.severity for one in check([before], services)].count("error") > 8
    drawn = re.findall(r'<bpmn:serviceTask id="(\w+)"', before.read_text())
    of = names(services)

    for element in drawn:
        pick(modeler, element, of[element])

    picked = saved(modeler, before)
    known = [*Project.load(ROOT).diagram_files(), picked]
    assert [
        str(one) for one in check(known, services, asked=[picked]) if one.severity != "info"
    ] == []
    assert list(stale(templates, services, [picked])) == []
    zeebe.deploy(picked)


def test_picking_keeps_what_was_drawn(modeler: Page, tmp_path: Path) -> None:
    """A handler stays a handler, and a mapping that an author wrote stays as he wrote it."""
    pick(modeler, "release_stock", "sagaworks.inventory.release_stock")
    assert modeler.ask(
        "modeler.get('elementRegistry').get('release_stock').businessObject.isForCompensation"
    )

    pick(modeler, "hold_stock", "sagaworks.inventory.hold_stock")
    again = partial(pick, modeler, "hold_stock", "sagaworks.inventory.hold_stock")
    written = saved(modeler, tmp_path / "once.bpmn").read_text()
    again()

    assert saved(modeler, tmp_path / "twice.bpmn").read_text() == written
    assert '<zeebe:input source="=sku" target="sku" />' in written


def test_the_form_shows_what_the_step_asks_for(modeler: Page) -> None:
    pick(modeler, "hold_stock", "sagaworks.inventory.hold_stock")
    modeler.ask("modeler.get('selection').select(modeler.get('elementRegistry').get('hold_stock'))")
    modeler.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    panel = modeler.ask("document.querySelector('#panel').textContent")

    assert "Hold stock" in panel
    assert "Set quantity units of sku aside for the order." in panel
    for label in ("Sku", "Quantity", "Retries"):
        assert label in panel
