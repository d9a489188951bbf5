"""Where code and diagram disagree, a person is told the place, the matter and the remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel
from sqlmodel import Session

from sagaworks import ContractError, Service
from sagaworks.contract import check_contract, demand_contract
from sagaworks.diagram import Diagram, read_diagram
from sagaworks.project import Project

ROOT = Path(__file__).parents[2]

HEAD = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"'
    ' xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="urn:test">'
)

Draw = Callable[..., Diagram]


class StockHeld(BaseModel):
    sku: str


@pytest.fixture
def inventory() -> Service:
    """One step that is undone, and one that never is."""
    service = Service("inventory")

    @service.step
    def hold_stock(session: Session, sku: str) -> StockHeld:
        return StockHeld(sku=sku)

    @hold_stock.compensation
    def release_stock(session: Session, held: StockHeld) -> None:
        pass

    @service.step(kind="retriable")
    def ship_stock(session: Session) -> None:
        pass

    return service


@pytest.fixture
def draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Make a diagram of one element a line, the first in line 2."""
    monkeypatch.chdir(tmp_path)

    def draw(*elements: str, name: str = "saga.bpmn") -> Diagram:
        process = f'{HEAD}<process id="saga" isExecutable="true">'
        Path(name).write_text("\n".join([process, *elements, "</process></definitions>"]))
        return read_diagram(Path(name))

    return draw


def task(job_type: str, *, inner: str = "", extras: str = "", **attributes: str) -> str:
    attributes.setdefault("id", job_type.partition(".")[2])
    retries = attributes.pop("retries", "3")
    written = " ".join(f'{key}="{value}"' for key, value in attributes.items())
    job = f'<zeebe:taskDefinition type="{job_type}" retries="{retries}"/>'
    return (
        f"<serviceTask {written}><extensionElements>{job}{extras}</extensionElements>"
        f"{inner}</serviceTask>"
    )


def undone(step: str, handler: str) -> str:
    return (
        f'<boundaryEvent id="{step}_undone" attachedToRef="{step}">'
        f'<compensateEventDefinition id="{step}_definition"/></boundaryEvent>'
        f'<association id="{step}_by" sourceRef="{step}_undone" targetRef="{handler}"/>'
    )


def handler(job_type: str, **attributes: str) -> str:
    return task(job_type, isForCompensation="true", **attributes)


HOLD = task("inventory.hold_stock")
RELEASE = handler("inventory.release_stock")
UNDONE = undone("hold_stock", "release_stock")
SHIP = task("inventory.ship_stock")


def told(services: list[Service], *diagrams: Diagram, only: str | None = None) -> list[str]:
    return [str(one) for one in check_contract(services, diagrams, only=only)]


def test_the_reference_saga_and_its_workers_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    project = Project.load()
    diagrams = [read_diagram(path) for path in project.diagram_files()]

    assert diagrams
    assert check_contract(project.load_services(), diagrams) == []


def test_a_whole_pair_and_a_retriable_step_are_in_order(inventory: Service, draw: Draw) -> None:
    assert told([inventory], draw(HOLD, UNDONE, RELEASE, SHIP)) == []


def test_a_mistyped_job_type_is_told_with_the_nearest_one(inventory: Service, draw: Draw) -> None:
    typo = task("inventory.hold_stok", id="hold_stock")
    findings = told([inventory], draw(typo, UNDONE, RELEASE, SHIP))

    assert findings[0] == (
        "saga.bpmn:2 hold_stock: no step `inventory.hold_stok`; "
        "did you mean `inventory.hold_stock`?"
    )
    assert len(findings) == 2
    assert "hold_stock: no task in any diagram; " in findings[1]


def test_a_job_type_like_none_is_told_without_a_guess(inventory: Service, draw: Draw) -> None:
    diagram = draw(HOLD, UNDONE, RELEASE, SHIP, task("inventory.zzz"))

    assert told([inventory], diagram) == [
        "saga.bpmn:6 zzz: no step `inventory.zzz`; declare it, or correct the job type"
    ]


def test_a_mistyped_service_is_a_warning(inventory: Service, draw: Draw) -> None:
    diagram = draw(HOLD, UNDONE, RELEASE, SHIP, task("inventry.ship_stock", id="again"))
    finding = check_contract([inventory], [diagram])[0]

    assert finding.severity == "warning"
    assert finding.remedy == "did you mean `inventory.ship_stock`?"


def test_other_peoples_job_types_are_none_of_our_business(inventory: Service, draw: Draw) -> None:
    chosen = task("=&quot;inventory.hold_stock&quot;", id="chosen")
    others = task("billing.write_invoice"), chosen

    assert told([inventory], draw(HOLD, UNDONE, RELEASE, SHIP, *others)) == []


def test_a_task_without_job_type_is_told(draw: Draw) -> None:
    assert told([], draw('<serviceTask id="later"/>')) == [
        "saga.bpmn:2 later: no job type; set it: `<service>.<step>`"
    ]


def test_a_step_that_no_diagram_draws_is_told_where_it_stands(
    inventory: Service, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    diagram = draw(HOLD, UNDONE, RELEASE)
    monkeypatch.chdir(ROOT)
    [finding] = told([inventory], diagram)

    assert finding.startswith("tests/unit/test_contract.py:")
    assert finding.endswith(
        "ship_stock: no task in any diagram; draw one with job type `inventory.ship_stock`, "
        "or remove it from the code"
    )


def test_one_diagram_of_several_is_enough(inventory: Service, draw: Draw) -> None:
    first = draw(HOLD, UNDONE, RELEASE, name="a.bpmn")
    second = draw(SHIP, name="b.bpmn")
    findings = check_contract([inventory], [first, second])

    assert [one for one in findings if one.severity == "error"] == []


def test_a_compensatable_step_without_a_handler_is_told(inventory: Service, draw: Draw) -> None:
    findings = told([inventory], draw(HOLD, SHIP))

    assert findings[0] == (
        "saga.bpmn:2 hold_stock: nothing undoes it; "
        "draw its compensation event and the handler `inventory.release_stock`"
    )


def test_a_compensatable_step_that_nothing_undoes_anywhere_is_told(draw: Draw) -> None:
    service = Service("inventory")

    @service.step
    def count_stock(session: Session) -> None:
        pass

    [finding] = told([service], draw(task("inventory.count_stock")))

    assert "nothing undoes it; write `@count_stock.compensation` and draw it, or" in finding


def test_a_handler_for_a_step_that_code_never_undoes_is_told(
    inventory: Service, draw: Draw
) -> None:
    other = handler("billing.undo_it")
    diagram = draw(HOLD, UNDONE, RELEASE, SHIP, undone("ship_stock", "undo_it"), other)

    assert told([inventory], diagram) == [
        (
            "saga.bpmn:5 ship_stock: undone by `undo_it` as drawn, but it has no compensation "
            "in code; a retriable step isn't undone: remove the handler"
        )
    ]


def test_a_compensation_on_another_step_than_its_own_is_told(
    inventory: Service, draw: Draw
) -> None:
    payments = Service("payments")

    @payments.step
    def charge_card(session: Session) -> None:
        pass

    @charge_card.compensation
    def refund_card(session: Session) -> None:
        pass

    diagram = draw(
        HOLD,
        SHIP,
        task("payments.charge_card"),
        undone("hold_stock", "refund_card") + undone("charge_card", "release_stock"),
        RELEASE,
        handler("payments.refund_card"),
    )

    assert told([inventory, payments], diagram) == [
        (
            "saga.bpmn:6 release_stock: undoes `charge_card` as drawn, but in code it undoes "
            "`inventory.hold_stock`; the handler of `charge_card` is `payments.refund_card`"
        ),
        (
            "saga.bpmn:7 refund_card: undoes `hold_stock` as drawn, but in code it undoes "
            "`payments.charge_card`; the handler of `hold_stock` is `inventory.release_stock`"
        ),
    ]


def test_a_foreign_handler_for_our_undone_step_is_told(inventory: Service, draw: Draw) -> None:
    foreign = handler("billing.undo_it")
    findings = told([inventory], draw(HOLD, undone("hold_stock", "undo_it"), foreign, SHIP))

    assert (
        "saga.bpmn:4 undo_it: undoes `hold_stock` as drawn, but in code `inventory.release_stock` "
        "does; the handler of `hold_stock` is `inventory.release_stock`"
    ) in findings


def test_a_compensation_that_no_step_is_connected_to_is_told(
    inventory: Service, draw: Draw
) -> None:
    findings = told([inventory], draw(HOLD, RELEASE, SHIP))

    assert (
        "saga.bpmn:3 release_stock: undoes nothing as drawn, but in code it undoes "
        "`inventory.hold_stock`; connect it to that step's compensation event"
    ) in findings


def test_a_sub_process_may_be_the_handler_and_hold_the_compensation(
    inventory: Service, draw: Draw
) -> None:
    handler = (
        f'<subProcess id="put_back" isForCompensation="true">{task("inventory.release_stock")}'
    )

    assert (
        told(
            [inventory],
            draw(HOLD, f"{handler}</subProcess>", undone("hold_stock", "put_back"), SHIP),
        )
        == []
    )


def test_a_step_as_handler_is_told(inventory: Service, draw: Draw) -> None:
    diagram = draw(HOLD, undone("hold_stock", "ship_stock"), handler("inventory.ship_stock"))
    findings = told([inventory], diagram)

    assert findings[0] == (
        "saga.bpmn:4 ship_stock: undoes `hold_stock` as drawn, but `inventory.ship_stock` is a "
        "step in code; give the handler its compensation's job type"
    )


def test_one_name_in_all_places(inventory: Service, draw: Draw) -> None:
    diagram = draw(HOLD, UNDONE, RELEASE, task("inventory.ship_stock", id="Activity_1x"))

    assert told([inventory], diagram) == [
        (
            "saga.bpmn:5 Activity_1x: its job type is `inventory.ship_stock`; "
            "give the element the id `ship_stock`"
        )
    ]


@pytest.mark.parametrize("retries", ["0", "-1"])
def test_retries_below_one_are_told(inventory: Service, draw: Draw, retries: str) -> None:
    ship = task("inventory.ship_stock", retries=retries)

    [finding] = told([inventory], draw(HOLD, UNDONE, RELEASE, ship))

    assert f"retries is {retries}, so a failing job is never offered again" in finding


def test_retries_may_be_an_expression_but_no_word(inventory: Service, draw: Draw) -> None:
    fine = task("inventory.ship_stock", retries="=tries")
    wrong = task("inventory.ship_stock", retries="often")

    assert told([inventory], draw(HOLD, UNDONE, RELEASE, fine)) == []
    assert told([inventory], draw(HOLD, UNDONE, RELEASE, wrong)) == [
        "saga.bpmn:5 ship_stock: retries is `often`; set it to a number"
    ]


@pytest.mark.parametrize("direction", ["input", "output"])
def test_no_mapping_writes_the_librarys_variables(
    inventory: Service, draw: Draw, direction: str
) -> None:
    mapping = f'<zeebe:{direction} source="=1" target="saga_key"/>'
    ship = task("inventory.ship_stock", extras=f"<zeebe:ioMapping>{mapping}</zeebe:ioMapping>")

    assert told([inventory], draw(HOLD, UNDONE, RELEASE, ship)) == [
        (
            "saga.bpmn:5 ship_stock: a mapping writes `saga_key`, which is the library's; "
            "name the variable otherwise"
        )
    ]


def test_every_worker_is_told_of_an_event_that_overwrites_the_key(
    inventory: Service, draw: Draw
) -> None:
    mapping = '<zeebe:ioMapping><zeebe:output source="=1" target="saga_key"/></zeebe:ioMapping>'
    event = f'<startEvent id="s"><extensionElements>{mapping}</extensionElements></startEvent>'

    assert len(told([inventory], draw(HOLD, UNDONE, RELEASE, SHIP, event), only="inventory")) == 1


def test_a_child_saga_is_given_its_key_by_a_mapping(draw: Draw) -> None:
    mapping = '<zeebe:input source="=saga_key + &quot;/ship&quot;" target="saga_key"/>'
    call = (
        '<callActivity id="ship"><extensionElements><zeebe:calledElement processId="ship"/>'
        f"<zeebe:ioMapping>{mapping}</zeebe:ioMapping></extensionElements></callActivity>"
    )

    assert told([], draw(call)) == []


def test_the_kind_drawn_and_the_kind_declared_are_one(inventory: Service, draw: Draw) -> None:
    kind = '<zeebe:properties><zeebe:property name="saga.kind" value="pivot"/></zeebe:properties>'
    ship = task("inventory.ship_stock", extras=kind)

    assert told([inventory], draw(HOLD, UNDONE, RELEASE, ship)) == [
        (
            "saga.bpmn:5 ship_stock: saga.kind is `pivot`, but the code says `retriable`; "
            "correct one of them"
        )
    ]


LOOP = '<sequenceFlow id="again" sourceRef="ship_line" targetRef="ship_line"/>'
FOR_EACH = '<multiInstanceLoopCharacteristics id="lines"/>'


@pytest.mark.parametrize("inner, flow, words", [("", LOOP, "a loop"), (FOR_EACH, "", "each item")])
def test_repeated_steps_say_what_tells_their_runs_apart(
    draw: Draw, inner: str, flow: str, words: str
) -> None:
    service = Service("inventory")

    @service.step(kind="retriable")
    def ship_line(session: Session, line: int) -> None:
        pass

    [finding] = told([service], draw(task("inventory.ship_line", inner=inner), flow))

    assert words in finding
    assert finding.endswith('declare the parameter that does: `step(each="…")`')


@pytest.mark.parametrize("options", [{"each": "line", "kind": "retriable"}, {"kind": "read_only"}])
def test_repeated_steps_that_say_so_are_in_order(draw: Draw, options: dict[str, str]) -> None:
    service = Service("inventory")

    @service.step(**options)
    def ship_line(session: Session, line: int) -> None:
        pass

    assert told([service], draw(task("inventory.ship_line", inner=FOR_EACH), LOOP)) == []


def test_a_worker_is_told_of_its_own_jobs_only(inventory: Service, draw: Draw) -> None:
    payments = Service("payments")

    @payments.step(kind="pivot")
    def charge_card(session: Session) -> None:
        pass

    diagram = draw(HOLD, SHIP, task("payments.charge_cart", id="charge_card"))

    assert len(told([inventory, payments], diagram)) == 4
    assert all("payments" in one for one in told([inventory, payments], diagram, only="payments"))
    assert len(told([inventory, payments], diagram, only="payments")) == 2


def test_another_file_name_is_a_warning_only(inventory: Service, draw: Draw) -> None:
    diagram = draw(HOLD, UNDONE, RELEASE, SHIP, name="final_v2.bpmn")
    [finding] = check_contract([inventory], [diagram])

    assert finding.severity == "warning"
    assert (
        str(finding) == "final_v2.bpmn:1 saga: file and process have two names; call it `saga.bpmn`"
    )
    demand_contract([inventory], [diagram])


def test_a_demand_lists_all_errors_one_a_line_then_the_warnings(
    inventory: Service, draw: Draw
) -> None:
    diagram = draw(task("inventory.hold_stock", retries="0"), name="other.bpmn")

    with pytest.raises(ContractError) as error:
        demand_contract([inventory], [diagram])

    lines = str(error.value).splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("other.bpmn:2 hold_stock: retries is 0")
    assert lines[4].startswith("other.bpmn:1 saga: file and process have two names")


def test_a_mistyped_service_is_named_where_the_contract_is_refused(tmp_path: Path) -> None:
    """The errors that follow from it speak of other elements."""
    project = Project.load()
    drawn = (project.root / "bpmn" / "place_order.bpmn").read_text()
    spoiled = tmp_path / "place_order.bpmn"
    spoiled.write_text(drawn.replace('"inventory.hold_stock"', '"inventry.hold_stock"'))

    with pytest.raises(ContractError, match=r"did you mean `inventory\.hold_stock`\?"):
        demand_contract(project.load_services(), [read_diagram(spoiled)])
