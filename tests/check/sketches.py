"""For each rule a diagram that breaks it, and one that just doesn't.

`python -m tests.check.sketches` writes them into the folder `diagrams`.
"""

from collections.abc import Callable
from pathlib import Path

from tests.check.sketch import Sketch, for_each, header, mapping, prop

FOLDER = Path(__file__).parent / "diagrams"

Draw = Callable[..., str]

SKETCHES: dict[str, Draw] = {}
"""By rule: draws its diagram, the wrong one or the right one; returns the id that is told of."""

FILES: dict[str, Callable[..., tuple[str, str]]] = {}
"""By rule about a file as a whole: returns its text, and the id that is told of."""


def of_rule(draw: Draw) -> Draw:
    SKETCHES[draw.__name__.replace("_", "-")] = draw
    return draw


def of_file(draw: Callable[..., tuple[str, str]]) -> None:
    FILES[draw.__name__.replace("_", "-")] = draw


def sale(s: Sketch) -> None:
    """Stock is held, the card charged, the order confirmed; what was done is undone."""
    s.start()
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.step("payments.charge_card", undo="payments.refund_card")
    s.step("orders.confirm_order", kind="pivot")
    s.end()
    s.undo_all("charge_card", "hold_stock")


def begun(s: Sketch) -> None:
    """The first half of a sale; what follows is drawn by the rule."""
    s.start()
    s.step("stock.hold_stock", undo="stock.release_stock")


def ended(s: Sketch, *undone: str) -> None:
    s.end()
    s.undo_all(*undone)


# Files


@of_file
def not_a_diagram(s: Sketch, *, wrong: bool) -> tuple[str, str]:
    sale(s)
    return (
        s.xml().replace('isExecutable="true"', 'isExecutable="false"') if wrong else s.xml()
    ), ""


@of_file
def dtd(s: Sketch, *, wrong: bool) -> tuple[str, str]:
    sale(s)
    head, _, rest = s.xml().partition("\n")
    return (f"{head}\n<!DOCTYPE definitions>\n{rest}" if wrong else s.xml()), ""


@of_file
def camunda_7(s: Sketch, *, wrong: bool) -> tuple[str, str]:
    sale(s)
    text = s.xml()
    if wrong:
        text = text.replace(
            "http://camunda.org/schema/zeebe/1.0", "http://camunda.org/schema/1.0/bpmn"
        )
        text = text.replace("zeebe", "camunda").replace("Camunda Cloud", "Camunda Platform")
        text = text.replace('executionPlatformVersion="8.6.0"', 'executionPlatformVersion="7.21.0"')
    return text, ""


@of_file
def several_processes(s: Sketch, *, wrong: bool) -> tuple[str, str]:
    sale(s)
    start = '<bpmn:startEvent id="asked" />'
    other = f'<bpmn:process id="customer" isExecutable="{{}}">{start}</bpmn:process>'
    pools = (
        '<bpmn:collaboration id="pools">'
        f'<bpmn:participant id="shop_pool" name="Shop" processRef="{s.process}" />'
        '<bpmn:participant id="customer_pool" name="Customer" processRef="customer" />'
        "</bpmn:collaboration>"
    )
    s.define(other.format("true" if wrong else "false"))
    text = s.xml().replace("  <bpmn:process ", f"  {pools}\n  <bpmn:process ", 1)
    text = text.replace(f'id="plane" bpmnElement="{s.process}"', 'id="plane" bpmnElement="pools"')
    shapes = "".join(
        f'<bpmndi:BPMNShape id="{id_}_di" bpmnElement="{id_}" isHorizontal="true">'
        f'<dc:Bounds x="40" y="{y}" width="1000" height="{tall}" /></bpmndi:BPMNShape>'
        for id_, y, tall in (("shop_pool", 20, 640), ("customer_pool", 700, 120))
    )
    shapes += (
        '<bpmndi:BPMNShape id="asked_di" bpmnElement="asked">'
        '<dc:Bounds x="120" y="740" width="36" height="36" /></bpmndi:BPMNShape>'
    )
    return text.replace('bpmnElement="pools">', f'bpmnElement="pools">{shapes}'), ""


@of_file
def double_id(s: Sketch, *, wrong: bool) -> tuple[str, str]:
    sale(s)
    text = s.xml()
    return (text.replace('id="ended"', 'id="begun"', 1) if wrong else text), ""


@of_file
def dangling_reference(s: Sketch, *, wrong: bool) -> tuple[str, str]:
    sale(s)
    text = s.xml()
    flow = "confirm_order_to_ended"
    if wrong:
        text = text.replace('targetRef="ended"', 'targetRef="finished"')
    return text, flow


@of_file
def other_modeler(s: Sketch, *, wrong: bool) -> tuple[str, str]:
    sale(s)
    text = s.xml()
    if wrong:
        lines = [line for line in text.splitlines() if "extensionElements" not in line]
        text = "\n".join(lines).replace(' xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"', "")
        text = text.replace('exporter="Camunda Modeler"', 'exporter="Another Tool"')
        text = text.replace(' modeler:executionPlatform="Camunda Cloud"', "")
        text = text.replace(' modeler:executionPlatformVersion="8.6.0"', "")
    return text + ("\n" if wrong else ""), s.process


# Diagram and code


@of_rule
def unknown_step(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("stock.ship_stok" if wrong else "stock.ship_stock", "ship_stock")
    s.end()
    return "ship_stock"


@of_rule
def undrawn_step(s: Sketch, *, wrong: bool) -> str:
    s.start()
    if not wrong:
        s.step("stock.count_stock")
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.end()
    return "count_stock"


@of_rule
def mistyped_service(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("stock.ship_stock")
    job = "stok.ship_stock" if wrong else "post.send_letter"
    s.step(job, "again", kind="retriable")
    s.end()
    return "again"


@of_rule
def no_job_type(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("" if wrong else "post.send_letter", "send_letter", kind="retriable")
    s.end()
    return "send_letter"


@of_rule
def one_name(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    id_ = "Activity_0x1" if wrong else "ship_stock"
    s.step("stock.ship_stock", id_)
    s.end()
    return id_


@of_rule
def file_name(s: Sketch, *, wrong: bool) -> str:
    s.process = "place_order" if wrong else s.process
    begun(s)
    s.end()
    return s.process


@of_rule
def kind_differs(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("orders.confirm_order", kind="retriable" if wrong else "pivot")
    s.end()
    return "confirm_order"


@of_rule
def undeclared_step(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("post.send_letter", kind="" if wrong else "retriable")
    s.end()
    return "send_letter"


@of_rule
def library_variable(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    name = "saga_key" if wrong else "letter_key"
    s.step("post.send_letter", kind="retriable", more=mapping(inputs=f"{name}: =sku"))
    s.end()
    return "send_letter"


@of_rule
def retries(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("post.send_letter", kind="retriable", retries="0" if wrong else "10")
    s.end()
    return "send_letter"


@of_rule
def saga_property(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("post.send_letter", kind="retriable", more=prop("saga.kin" if wrong else "team", "post"))
    s.end()
    return "send_letter"


@of_rule
def unused_ignore(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    reason = prop("saga.ignore", "few-retries: the post is patient")
    s.step("post.send_letter", kind="retriable", retries="5" if wrong else "1", more=reason)
    s.end()
    return "send_letter"


# Handlers


@of_rule
def no_undo(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("payments.charge_card", kind="" if wrong else "pivot")
    ended(s, "hold_stock")
    return "charge_card"


@of_rule
def wrong_handler(s: Sketch, *, wrong: bool) -> str:
    s.start()
    undo = ["stock.release_stock", "payments.refund_card"]
    first, second = reversed(undo) if wrong else undo
    s.step("stock.hold_stock", undo=first)
    s.step("payments.charge_card", undo=second)
    ended(s, "charge_card", "hold_stock")
    return "refund_card"


@of_rule
def orphan_handler(s: Sketch, *, wrong: bool) -> str:
    sale(s)
    if wrong:
        s.handler("void_order", "orders.void_order", "confirm_order")
    return "void_order"


@of_rule
def two_handlers(s: Sketch, *, wrong: bool) -> str:
    sale(s)
    if wrong:
        s.undone_by("hold_stock", "stock.count_stock")
    return "hold_stock"


@of_rule
def undo_without_handler(s: Sketch, *, wrong: bool) -> str:
    sale(s)
    if wrong:
        s.on_edge("confirm_order", "confirm_order_undone", "compensate")
    return "confirm_order_undone"


@of_rule
def handler_in_flow(s: Sketch, *, wrong: bool) -> str:
    sale(s)
    if wrong:
        s.at("release_stock", row=1, column=2)
        s.column, s.row = 3, 2
        s.end("released")
    return "release_stock"


@of_rule
def handler_flag(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.step("stock.hold_stock", undo="stock.release_stock", marked=not wrong)
    s.step("orders.confirm_order", kind="pivot")
    ended(s, "hold_stock")
    return "release_stock"


@of_rule
def few_retries(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.step("stock.hold_stock")
    s.undone_by("hold_stock", "stock.release_stock", retries="1" if wrong else "10")
    s.step("orders.confirm_order", kind="pivot")
    ended(s, "hold_stock")
    return "release_stock"


@of_rule
def call_without_undo(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    call(s, "ship_order")
    if not wrong:
        s.undone_by("ship_order", "shipping.cancel_shipment")
    s.step("orders.confirm_order", kind="pivot")
    ended(s, *(["hold_stock"] if wrong else ["ship_order", "hold_stock"]))
    return "ship_order"


def call(s: Sketch, id_: str, key: str = '=saga_key + "/ship"') -> None:
    called = f'<zeebe:calledElement processId="{id_}" propagateAllChildVariables="false" />'
    said = [called, mapping(inputs=f"saga_key: {key}")] if key else [called]
    s.add(id_, "callActivity", extensions=said)


@of_rule
def undo_refuses(s: Sketch, *, wrong: bool) -> str:
    s.start()
    if wrong:
        s.step("payments.reserve_amount", undo="payments.free_amount")
    else:
        s.step("stock.hold_stock", undo="stock.release_stock")
    s.end()
    return "free_amount"


@of_rule
def error_in_handler(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.step("stock.hold_stock")
    with s.handled_by("hold_stock", "put_back"):
        s.start("put_back_begun")
        s.step("stock.release_stock")
        s.gateway("all_there")
        s.end("put_back_done", condition="=all_there")
        s.at("all_there", row=1)
        if wrong:
            s.end("something_lost", "error", code="LOST", condition="=not(all_there)")
        else:
            s.step("stock.count_stock", condition="=not(all_there)")
            s.end("counted")
    s.step("orders.confirm_order", kind="pivot")
    ended(s, "hold_stock")
    return "something_lost"


# The pivot


@of_rule
def compensatable_after_pivot(s: Sketch, *, wrong: bool) -> str:
    s.start()
    first, second = "stock.hold_stock", "payments.charge_card"
    s.step(first, undo="stock.release_stock")
    if not wrong:
        s.step(second, undo="payments.refund_card")
    s.step("orders.confirm_order", kind="pivot")
    if wrong:
        s.step(second, undo="payments.refund_card")
    ended(s, "charge_card", "hold_stock")
    return "charge_card"


@of_rule
def two_pivots(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("orders.confirm_order", kind="pivot")
    s.step("post.send_letter", kind="pivot" if wrong else "retriable")
    ended(s, "hold_stock")
    return "send_letter"


@of_rule
def retriable_refuses(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("orders.confirm_order")
    s.step("shipping.send_parcel" if wrong else "shipping.label_parcel")
    ended(s, "hold_stock")
    return "send_parcel"


@of_rule
def undo_after_pivot(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("orders.confirm_order", kind="pivot")
    s.step("stock.ship_stock", kind="retriable")
    s.end()
    s.undo_all("hold_stock")
    if wrong:
        with s.on_event("cancelling", "cancelled", "message", row=11):
            s.throw("take_back", "hold_stock")
            s.end("taken_back")
    else:
        with s.on_event("asking", "asked", "message", row=11, attributes='isInterrupting="false"'):
            s.end("too_late")
    return "cancelled"


# Errors


@of_rule
def uncaught_refusal(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("payments.charge_card", undo="payments.refund_card")
    s.end()
    if not wrong:
        s.undo_all("charge_card", "hold_stock", code="CARD_DECLINED")
    return "charge_card"


@of_rule
def rethrow_not_caught(s: Sketch, *, wrong: bool) -> str:
    s.start()
    with s.inside("sell", extensions=[prop("saga.leave", "undo")]):
        s.start("sell_begun")
        s.step("stock.hold_stock", undo="stock.release_stock")
        s.step("payments.charge_card", kind="pivot")
        s.end("sold")
        with s.on_event("undo_sale", "refused"):
            s.throw("take_back", "hold_stock")
            if wrong:
                s.end("given_up", "error", code="GIVEN_UP")
            else:
                s.end("taken_back")
    s.end()
    if wrong:
        s.edge("sell", "sale_failed", "error", code="GIVEN_UP")
        s.end("not_sold")
    return "given_up"


@of_rule
def unthrown_code(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("payments.charge_card", undo="payments.refund_card")
    s.end()
    s.edge("charge_card", "declined", "error", code="DECLINED" if wrong else "CARD_DECLINED")
    s.throw("release", "hold_stock")
    s.end("not_sold")
    if wrong:
        s.row = 0
        s.undo_all("charge_card", "hold_stock")
    return "declined"


# Undo


@of_rule
def path_without_undo(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("payments.charge_card", kind="pivot")
    s.end()
    s.edge("charge_card", "declined", "error", code="CARD_DECLINED")
    if not wrong:
        s.throw("release", "hold_stock")
    s.end("not_sold")
    return "declined"


@of_rule
def throw_reaches_nothing(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.step("payments.charge_card", undo="payments.refund_card")
    s.end()
    s.edge("charge_card", "declined", "error")
    s.throw("give_back", "charge_card" if wrong else "hold_stock")
    if wrong:
        s.throw("release", "hold_stock")
    s.end("not_sold")
    return "give_back"


@of_rule
def zombie(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    s.step("payments.charge_card", kind="pivot")
    s.end()
    s.edge("charge_card", "overdue", "timer", attributes='cancelActivity="false"')
    s.throw("release", "hold_stock")
    s.end("given_up", "" if wrong else "terminate")
    s.row = 0
    s.undo_all("hold_stock")
    return "overdue"


@of_rule
def order_not_drawn(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.step("stock.pack_stock", undo="stock.unpack_stock")
    s.step("orders.confirm_order", kind="pivot")
    s.end()
    if wrong:
        with s.on_event("undo_saga", "refused"):
            s.throw("undo_all_at_once")
            s.end("undone")
    else:
        s.undo_all("pack_stock", "hold_stock")
    return "undo_all_at_once"


@of_rule
def undo_order(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.step("payments.charge_card", undo="payments.refund_card")
    s.step("orders.confirm_order", kind="pivot")
    order = ("charge_card", "hold_stock")
    ended(s, *(reversed(order) if wrong else order))
    return "undo_charge_card"


# Leaving


@of_rule
def leave_undeclared(s: Sketch, *, wrong: bool) -> str:
    s.start()
    with s.inside("sell", extensions=[] if wrong else [prop("saga.leave", "undo")]):
        s.start("sell_begun")
        s.step("stock.hold_stock", undo="stock.release_stock")
        s.step("payments.charge_card", kind="pivot")
        s.end("sold")
    s.end()
    s.edge("sell", "overdue", "timer")
    s.end("given_up")
    s.row = 0
    with s.on_event("note_it", "refused"):
        s.end("noted")
    return "sell"


# Branches


def two_branches(s: Sketch, *, room: int = 0) -> None:
    """Stock and card side by side, behind the first step."""
    s.start()
    s.step("orders.accept_order", undo="orders.reject_order")
    s.gateway("both", "parallel")
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.column += room
    s.gateway("joined", "parallel")
    s.step("orders.confirm_order", kind="pivot")
    s.end()
    s.at("both", row=2)
    s.step("payments.charge_card", undo="payments.refund_card")
    s.to("joined")


@of_rule
def fork_before_first_step(s: Sketch, *, wrong: bool) -> str:
    if not wrong:
        two_branches(s)
        s.row = 0
        s.undo_all("charge_card", "hold_stock", "accept_order")
        return ""
    s.start()
    s.gateway("both", "parallel")
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.gateway("joined", "parallel")
    s.step("orders.confirm_order", kind="pivot")
    s.end()
    s.at("both", row=2)
    s.step("payments.charge_card", undo="payments.refund_card")
    s.to("joined")
    s.row = 0
    s.undo_all("charge_card", "hold_stock")
    return "both"


@of_rule
def left_branch(s: Sketch, *, wrong: bool) -> str:
    two_branches(s)
    s.row = 0
    s.undo_all("charge_card", "hold_stock", "accept_order")
    if wrong:
        s.edge("charge_card", "declined", "error", row=5)
        s.throw("take_back")
        s.end("not_sold")
    return "take_back"


@of_rule
def terminate_end(s: Sketch, *, wrong: bool) -> str:
    two_branches(s, room=2)
    s.scope.flows.remove(("charge_card", "joined", ""))
    s.at("charge_card", row=2)
    s.gateway("paid")
    s.to("joined", "=paid")
    s.at("paid", row=4)
    if wrong:
        s.end("all_over", "terminate", condition="=not(paid)")
    else:
        s.end("all_over", "error", code="NOT_SOLD", condition="=not(paid)")
    s.row = 0
    s.undo_all("charge_card", "hold_stock", "accept_order")
    return "all_over"


# Repetition


@of_rule
def no_each(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.step("stock.count_stock")
    s.step("stock.hold_stock", undo="stock.release_stock")
    loop = for_each("=lines", "line")
    if wrong:
        s.step("shipping.label_parcel", loop=loop)
    else:
        s.step("stock.hold_line", loop=loop, more=prop("saga.leave", "undo"))
        s.undone_by("hold_line", "stock.release_line", headers=header("undo", "all"))
    s.end()
    return "label_parcel"


@of_rule
def each_not_given(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    loop = for_each("=lines", "item" if wrong else "line")
    s.step("stock.hold_line", loop=loop, more=prop("saga.leave", "undo"))
    s.undone_by("hold_line", "stock.release_line", headers=header("undo", "all"))
    s.end()
    return "hold_line"


@of_rule
def several_tasks(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.step("stock.hold_stock", undo="stock.release_stock")
    if wrong:
        s.step("shipping.label_parcel")
        s.step("shipping.label_parcel", "label_parcel_again")
    else:
        s.step("stock.count_stock")
        s.step("stock.count_stock", "count_stock_again")
    s.end()
    return "label_parcel_again"


@of_rule
def undo_all(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.step("orders.accept_order", undo="orders.reject_order")
    said = prop("saga.leave", "undo")
    s.step("stock.hold_line", loop=for_each("=lines", "line"), more=said)
    s.undone_by("hold_line", "stock.release_line", headers="" if wrong else header("undo", "all"))
    s.step("orders.confirm_order", kind="pivot")
    ended(s, "hold_line", "accept_order")
    return "release_line"


@of_rule
def overwritten_undo(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.gateway("again")
    s.step("stock.hold_stock", more=mapping(outputs="hold: =hold"))
    if wrong:
        s.undone_by("hold_stock", "stock.release_stock", more=mapping(inputs="hold: =hold"))
    else:
        s.undone_by("hold_stock", "stock.release_stock", more=mapping(inputs="order: =order"))
    s.gateway("enough")
    s.step("orders.confirm_order", kind="pivot", condition="=enough")
    s.end()
    s.undo_all("hold_stock")
    s.at("enough", row=2)
    s.step("stock.count_stock", kind="read_only", condition="=not(enough)")
    s.to("again")
    return "hold_stock"


@of_rule
def undo_data_gone(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.step("orders.accept_order", undo="orders.reject_order")
    loop = for_each("=lines", "line", into="holds", element="=hold")
    s.step("stock.hold_line", loop=loop, more=prop("saga.leave", "undo"))
    name = "hold" if wrong else "holds"
    said = mapping(inputs=f"{name}: ={name}")
    s.undone_by("hold_line", "stock.release_line", more=said, headers=header("undo", "all"))
    s.step("orders.confirm_order", kind="pivot")
    ended(s, "hold_line", "accept_order")
    return "release_line"


# Time


@of_rule
def no_deadline(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    wait(s, "await_payment")
    s.step("orders.confirm_order", kind="pivot")
    s.end()
    s.undo_all("hold_stock")
    if not wrong:
        s.edge("await_payment", "overdue", "timer")
        s.end("not_paid", "error", code="NOT_PAID")
    return "await_payment"


def wait(s: Sketch, id_: str, key: str = "=saga_key") -> None:
    s.add(id_, "receiveTask", attributes=f'messageRef="{s.message(id_, key)}"')


@of_rule
def message_key(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    wait(s, "await_payment", '="payment"' if wrong else "=saga_key")
    s.step("orders.confirm_order", kind="pivot")
    s.end()
    s.undo_all("hold_stock")
    s.edge("await_payment", "overdue", "timer")
    s.end("not_paid", "error", code="NOT_PAID")
    return "await_payment"


@of_rule
def interrupting_event(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.step("payments.charge_card", undo="payments.refund_card")
    s.step("orders.confirm_order", kind="pivot")
    s.end()
    s.undo_all("charge_card", "hold_stock")
    s.edge("charge_card" if wrong else "confirm_order", "overdue", "timer")
    s.end("not_paid", "error", code="NOT_PAID")
    return "overdue"


@of_rule
def no_child_key(s: Sketch, *, wrong: bool) -> str:
    begun(s)
    call(s, "ship_order", "" if wrong else '=saga_key + "/ship"')
    s.undone_by("ship_order", "shipping.cancel_shipment")
    s.step("orders.confirm_order", kind="pivot")
    ended(s, "ship_order", "hold_stock")
    return "ship_order"


@of_rule
def changing_input(s: Sketch, *, wrong: bool) -> str:
    s.start()
    source = "=now()" if wrong else "=ordered_at"
    s.step("stock.hold_stock", more=mapping(inputs=f"at: {source}"))
    s.undone_by("hold_stock", "stock.release_stock")
    s.step("orders.confirm_order", kind="pivot")
    ended(s, "hold_stock")
    return "hold_stock"


# The picture


@of_rule
def unsupported_element(s: Sketch, *, wrong: bool) -> str:
    s.start()
    said = [prop("saga.leave", "undo")]
    with s.inside("sell", tag="transaction" if wrong else "subProcess", extensions=said):
        s.start("sell_begun")
        s.step("stock.hold_stock", undo="stock.release_stock")
        s.step("payments.charge_card", kind="pivot")
        s.end("sold")
    s.end()
    with s.on_event("note_it", "refused"):
        s.end("noted")
    return "sell"


@of_rule
def unreachable(s: Sketch, *, wrong: bool) -> str:
    sale(s)
    s.row = 2
    s.column = 5
    if wrong:
        s.last = ""
        s.step("post.send_letter", kind="retriable")
        s.end("sent")
    return "send_letter"


@of_rule
def no_picture(s: Sketch, *, wrong: bool) -> str:
    sale(s)
    if wrong:
        s.hide("charge_card")
    return "charge_card"


# Variables


@of_rule
def missing_variable(s: Sketch, *, wrong: bool) -> str:
    s.start()
    if wrong:
        s.step("stock.ship_stock")
    s.step("stock.hold_stock", undo="stock.release_stock")
    if not wrong:
        s.step("stock.ship_stock")
    s.end()
    return "ship_stock"


@of_rule
def sometimes_missing_variable(s: Sketch, *, wrong: bool) -> str:
    s.start()
    if wrong:
        s.gateway("needed")
        s.step("stock.hold_stock", undo="stock.release_stock", condition="=needed")
        s.gateway("anyway")
    else:
        s.step("stock.hold_stock", undo="stock.release_stock")
    s.step("stock.ship_stock")
    s.end()
    if wrong:
        s.at("needed", row=2)
        s.scope.flows.append(("needed", "anyway", "=not(needed)"))
    return "ship_stock"


@of_rule
def variable_type(s: Sketch, *, wrong: bool) -> str:
    s.start()
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.step("shipping.pack_parcel" if wrong else "stock.ship_stock")
    s.end()
    return "pack_parcel"


def drawn(rule: str, *, wrong: bool) -> tuple[str, str]:
    """Return a rule's diagram as text, and the id of the element that is told of."""
    sketch = Sketch("wrong" if wrong else "right")
    if rule in FILES:
        return FILES[rule](sketch, wrong=wrong)
    element = SKETCHES[rule](sketch, wrong=wrong)
    return sketch.xml(), element


def main() -> None:
    for rule in [*FILES, *SKETCHES]:
        (FOLDER / rule).mkdir(parents=True, exist_ok=True)
        for name in ("wrong", "right"):
            (FOLDER / rule / f"{name}.bpmn").write_text(drawn(rule, wrong=name == "wrong")[0])


if __name__ == "__main__":
    main()
