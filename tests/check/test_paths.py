"""Shapes on both sides of a rule: what the engine loses, and what only looks like it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sagaworks.check import check
from tests.check.sketch import Sketch, for_each, header, mapping, prop
from tests.check.sketches import begun, sale, two_branches, wait

Found = list[tuple[str, str]]
KEEP = [prop("saga.leave", "undo")]


@pytest.fixture
def found(tmp_path: Path) -> Callable[[Sketch], Found]:
    def found(sketch: Sketch) -> Found:
        file = tmp_path / "saga.bpmn"
        file.write_text(sketch.xml())
        return [(one.rule, one.element) for one in check([file]) if one.severity != "info"]

    return found


@pytest.fixture
def s() -> Sketch:
    return Sketch("saga")


Check = Callable[[Sketch], Found]


def two_steps(s: Sketch) -> None:
    s.start("inside_begun")
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.step("payments.charge_card", undo="payments.refund_card")
    s.end("inside_ended")


# Sub-processes


def test_a_sub_process_whose_only_step_ends_it_cannot_be_left_with_it_done(
    found: Check, s: Sketch
) -> None:
    s.start()
    with s.inside("sell"):
        s.start("inside_begun")
        s.step("stock.hold_stock", undo="stock.release_stock")
        s.end("inside_ended")
    s.end()
    s.edge("sell", "late", "timer")
    s.end("given_up")

    assert found(s) == []


def test_with_a_second_step_inside_a_timer_may_fire_between_them(found: Check, s: Sketch) -> None:
    s.start()
    with s.inside("sell"):
        two_steps(s)
    s.end()
    s.edge("sell", "late", "timer")
    s.end("given_up")

    assert found(s) == [("leave-undeclared", "sell")]


def test_steps_of_a_completed_sub_process_are_undone_from_outside(found: Check, s: Sketch) -> None:
    s.start()
    with s.inside("sell", extensions=KEEP):
        two_steps(s)
    s.step("orders.confirm_order", kind="pivot")
    s.end()
    s.undo_all("sell")

    assert found(s) == []


def test_steps_of_a_sub_process_that_was_left_are_not(found: Check, s: Sketch) -> None:
    s.start()
    with s.inside("sell", extensions=KEEP):
        two_steps(s)
    s.end()
    s.edge("sell", "declined", "error", code="CARD_DECLINED")
    s.throw("take_back")
    s.end("not_sold")

    assert found(s) == [("throw-reaches-nothing", "take_back")]


def test_undone_inside_before_it_is_left_by_an_error_nothing_is_lost(
    found: Check, s: Sketch
) -> None:
    """The pattern that holds: boundary on the task, throw, error end event, all inside."""
    s.start()
    with s.inside("sell"):
        s.start("inside_begun")
        s.step("stock.hold_stock", undo="stock.release_stock")
        s.step("payments.charge_card", kind="pivot")
        s.end("inside_ended")
        s.edge("charge_card", "declined", "error", code="CARD_DECLINED", row=2)
        s.throw("release", "hold_stock")
        s.end("not_charged", "error", code="NOT_CHARGED")
        s.row = 0
    s.end()
    s.edge("sell", "not_sold", "error", code="NOT_CHARGED")
    s.end("given_up")

    assert found(s) == []


def test_an_undo_event_sub_process_inside_catches_before_it_is_left(
    found: Check, s: Sketch
) -> None:
    s.start()
    with s.inside("sell"):
        two_steps(s)
        s.undo_all("charge_card", "hold_stock")
    s.end()

    assert found(s) == []


def test_a_cancellation_at_the_root_leaves_a_sub_process(found: Check, s: Sketch) -> None:
    s.start()
    with s.inside("sell"):
        two_steps(s)
        s.undo_all("charge_card", "hold_stock")
    s.end()
    with s.on_event("cancel", "cancelled", "message", row=11):
        s.throw("take_back", "sell")
        s.end("taken_back")

    assert found(s) == [("leave-undeclared", "sell")]


def test_the_refusal_of_a_sibling_leaves_a_sub_process(found: Check, s: Sketch) -> None:
    s.start()
    s.step("orders.accept_order", undo="orders.reject_order")
    s.gateway("both", "parallel")
    with s.inside("sell"):
        s.start("inside_begun")
        s.step("stock.hold_stock", undo="stock.release_stock")
        s.step("stock.pack_stock", kind="retriable")
        s.end("inside_ended")
    s.gateway("joined", "parallel")
    s.end()
    s.at("both", row=2)
    s.step("shipping.book", undo="shipping.cancel")
    s.to("joined")
    s.row = 0
    s.undo_all("book", "sell", "accept_order")

    assert ("leave-undeclared", "sell") in found(s)


def test_what_a_step_alone_is_left_with_is_nothing(found: Check, s: Sketch) -> None:
    """A task that isn't repeated is either done or not; its late effect is the library's."""
    two_branches(s)
    s.row = 0
    s.undo_all("charge_card", "hold_stock", "accept_order")

    assert found(s) == []


@pytest.mark.parametrize("said", ["undo", "keep"])
def test_what_holds_may_be_said_further_out(found: Check, s: Sketch, said: str) -> None:
    s.start()
    with s.inside("all_of_it", extensions=[prop("saga.leave", said)]):
        s.start("outer_begun")
        with s.inside("sell"):
            two_steps(s)
        s.end("outer_ended")
    s.end()
    s.edge("all_of_it", "late", "timer")
    s.end("given_up")

    assert found(s) == []


def test_items_of_a_multi_instance_are_lost_when_another_refuses(found: Check, s: Sketch) -> None:
    s.start()
    s.step("orders.accept_order", undo="orders.reject_order")
    with s.inside("lines", loop=for_each("=lines", "line")):
        s.start("inside_begun")
        s.step("stock.hold_line")
        s.undone_by("hold_line", "stock.release_line", headers=header("undo", "all"))
        s.end("inside_ended")
    s.end()
    s.undo_all("lines", "accept_order")

    assert found(s) == [("leave-undeclared", "lines")]


# Paths


def test_an_optional_step_may_fail_and_the_saga_goes_on(found: Check, s: Sketch) -> None:
    begun(s)
    s.step("post.send_offer", kind="read_only")
    s.gateway("anyway")
    s.step("orders.confirm_order", kind="pivot")
    s.end()
    s.undo_all("hold_stock")
    s.edge("send_offer", "not_sent", "error")
    s.to("anyway")

    assert found(s) == []


def test_a_failing_way_straight_to_the_good_end_is_told(found: Check, s: Sketch) -> None:
    begun(s)
    s.step("payments.charge_card", kind="pivot")
    s.end()
    s.edge("charge_card", "declined", "error")
    s.to("ended")

    assert found(s) == [("path-without-undo", "declined")]


def test_each_way_through_a_choice_must_undo(found: Check, s: Sketch) -> None:
    begun(s)
    s.step("payments.charge_card", kind="pivot")
    s.end()
    s.edge("charge_card", "declined", "error")
    s.gateway("matters")
    s.throw("release", "hold_stock", condition="=much")
    s.end("not_sold")
    s.at("matters", row=5)
    s.end("never_mind", condition="=not(much)")

    assert found(s) == [("path-without-undo", "declined")]


def test_a_deadline_for_the_whole_saga_undoes_all(found: Check, s: Sketch) -> None:
    sale(s)
    with s.on_event("deadline", "late", "timer", row=11):
        s.throw("take_back_card", "charge_card")
        s.throw("take_back_stock", "hold_stock")
        s.end("too_late")

    assert found(s) == []


def test_a_deadline_that_forgets_a_step_is_told(found: Check, s: Sketch) -> None:
    sale(s)
    with s.on_event("deadline", "late", "timer", row=11):
        s.throw("take_back_card", "charge_card")
        s.end("too_late")

    assert found(s) == [("path-without-undo", "late")]


def test_a_deadline_after_the_pivot_is_told(found: Check, s: Sketch) -> None:
    begun(s)
    s.step("orders.confirm_order", kind="pivot")
    s.step("stock.ship_stock", kind="retriable")
    s.end()
    s.undo_all("hold_stock")
    with s.on_event("deadline", "late", "timer", row=11):
        s.throw("take_back", "hold_stock")
        s.end("too_late")

    assert found(s) == [("undo-after-pivot", "late")]


def test_unless_a_condition_says_that_the_pivot_is_not_done(found: Check, s: Sketch) -> None:
    """The deadline then doesn't interrupt; the error that it ends in does."""
    begun(s)
    s.step("orders.confirm_order", kind="pivot")
    s.step("stock.ship_stock", kind="retriable")
    s.end()
    s.undo_all("hold_stock")
    with s.on_event("deadline", "late", "timer", row=11, attributes='isInterrupting="false"'):
        s.gateway("confirmed")
        s.end("given_up", "error", code="LATE", condition="=order_confirmed = null")
        s.at("confirmed", row=2)
        s.end("never_mind", condition="=order_confirmed != null")

    assert found(s) == []


def test_a_reminder_undoes_nothing_and_may_go_beside(found: Check, s: Sketch) -> None:
    sale(s)
    with s.on_event("remind", "waited", "timer", row=11, attributes='isInterrupting="false"'):
        s.step("post.send_reminder", kind="retriable")
        s.end("reminded")

    assert found(s) == []


# Branches


def test_ways_that_exclude_each_other_are_no_branches(found: Check, s: Sketch) -> None:
    s.start()
    s.step("orders.accept_order", undo="orders.reject_order")
    s.gateway("how")
    s.step("stock.hold_stock", undo="stock.release_stock", condition="=stocked")
    s.gateway("held")
    s.end()
    s.at("how", row=2)
    s.step("payments.charge_card", undo="payments.refund_card", condition="=not(stocked)")
    s.to("held")
    s.edge("charge_card", "declined", "error", row=4)
    s.throw("take_back", "accept_order")
    s.end("not_sold")
    s.row = 0
    s.undo_all("hold_stock", "accept_order")

    assert found(s) == []


def test_behind_the_join_nothing_runs_beside_any_more(found: Check, s: Sketch) -> None:
    two_branches(s)
    s.edge("confirm_order", "not_confirmed", "error", row=4)
    for step in ("charge_card", "hold_stock", "accept_order"):
        s.throw(f"take_back_{step}", step)
    s.end("not_sold")
    s.row = 0
    s.undo_all("charge_card", "hold_stock", "accept_order")

    assert found(s) == []


def test_a_branch_that_ends_by_itself_starves_the_join(found: Check, s: Sketch) -> None:
    two_branches(s)
    s.edge("charge_card", "declined", "error", row=4)
    s.end("not_charged")
    s.row = 0
    s.undo_all("charge_card", "hold_stock", "accept_order")

    assert {rule for rule, _ in found(s)} == {"left-branch", "path-without-undo"}


def test_forks_in_forks_are_told_apart(found: Check, s: Sketch) -> None:
    s.start()
    s.step("orders.accept_order", undo="orders.reject_order")
    s.gateway("outer", "parallel")
    s.gateway("inner", "parallel")
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.gateway("inner_joined", "parallel")
    s.step("stock.pack_stock", undo="stock.unpack_stock")
    s.gateway("outer_joined", "parallel")
    s.end()
    s.at("inner", row=2)
    s.step("stock.label_stock", kind="retriable")
    s.to("inner_joined")
    s.at("outer", row=4)
    s.step("payments.charge_card", undo="payments.refund_card")
    s.to("outer_joined")
    s.edge("pack_stock", "not_packed", "error", row=6)
    s.throw("take_back")
    s.end("not_sold")
    s.row = 0
    s.undo_all("charge_card", "pack_stock", "hold_stock", "accept_order")

    assert ("left-branch", "take_back") in found(s)


@pytest.mark.parametrize("same", [True, False])
def test_a_choice_of_first_steps_is_one_service_own(found: Check, s: Sketch, *, same: bool) -> None:
    s.start()
    s.gateway("how")
    s.step("stock.hold_stock", undo="stock.release_stock", condition="=stocked")
    s.gateway("held")
    s.end()
    s.at("how", row=2)
    other = "stock" if same else "shop"
    s.step(f"{other}.order_stock", undo=f"{other}.cancel_stock", condition="=not(stocked)")
    s.to("held")

    assert found(s) == ([] if same else [("fork-before-first-step", "order_stock")])


def test_a_look_before_the_first_step_decides_nothing(found: Check, s: Sketch) -> None:
    s.start()
    s.step("stock.count_stock", kind="read_only")
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.end()

    assert found(s) == []


# Messages


def test_a_timer_beside_the_message_is_a_deadline(found: Check, s: Sketch) -> None:
    begun(s)
    s.add("first", "eventBasedGateway")
    s.add("paid", "intermediateCatchEvent", inner=s.definition("paid", "message"))
    s.step("orders.confirm_order", kind="pivot")
    s.end()
    s.at("first", row=2)
    s.add("late", "intermediateCatchEvent", inner=s.definition("late", "timer"))
    s.throw("release", "hold_stock")
    s.end("not_paid")
    s.row = 0
    s.undo_all("hold_stock")

    assert found(s) == []


def test_a_deadline_around_counts(found: Check, s: Sketch) -> None:
    begun(s)
    with s.inside("pay", extensions=KEEP):
        s.start("pay_begun")
        wait(s, "await_payment")
        s.end("paid")
    s.end()
    s.undo_all("hold_stock")
    s.edge("pay", "late", "timer")
    s.end("not_paid", "error", code="NOT_PAID")

    assert found(s) == []


# Variables


def test_what_is_written_on_one_way_only_may_be_missing(found: Check, s: Sketch) -> None:
    begun(s)
    s.gateway("how")
    s.step("post.ask", kind="read_only", more=mapping(outputs="answer: =said"), condition="=much")
    s.gateway("anyway")
    s.step("post.file", kind="retriable", more=mapping(inputs="answer: =answer"))
    s.end()
    s.at("how", row=2)
    s.step("post.guess", kind="read_only", condition="=not(much)")
    s.to("anyway")

    assert found(s) == [("sometimes-missing-variable", "file")]


def test_at_a_join_one_branch_is_enough(found: Check, s: Sketch) -> None:
    begun(s)
    s.gateway("both", "parallel")
    s.step("post.ask", kind="read_only", more=mapping(outputs="answer: =said"))
    s.gateway("joined", "parallel")
    s.step("post.file", kind="retriable", more=mapping(inputs="answer: =answer"))
    s.end()
    s.at("both", row=2)
    s.step("post.guess", kind="read_only")
    s.to("joined")

    assert found(s) == []


def test_who_asks_for_null_knows(found: Check, s: Sketch) -> None:
    begun(s)
    s.gateway("how")
    s.step("post.ask", kind="read_only", more=mapping(outputs="answer: =said"), condition="=much")
    s.gateway("anyway")
    said = mapping(inputs="answer: =if answer = null then 0 else answer")
    s.step("post.file", kind="retriable", more=said)
    s.end()
    s.at("how", row=2)
    s.step("post.guess", kind="read_only", condition="=not(much)")
    s.to("anyway")

    assert found(s) == []


@pytest.mark.parametrize("name, rule", [("sku", None), ("skv", "missing-variable")])
def test_where_the_inputs_are_said_everything_else_must_be_produced(
    found: Check, name: str, rule: str | None
) -> None:
    s = Sketch("saga", prop("saga.inputs", "sku, much"))
    begun(s)
    s.step("post.file", kind="retriable", more=mapping(inputs=f"what: ={name}"))
    s.end()

    assert found(s) == ([(rule, "file")] if rule else [])


def test_an_item_is_known_inside_its_multi_instance(found: Check) -> None:
    s = Sketch("saga", prop("saga.inputs", "lines"))
    begun(s)
    with s.inside("each", loop=for_each("=lines", "line")):
        s.start("inside_begun")
        s.step(
            "post.file", kind="retriable", more=mapping(inputs="sku: =line.sku; n: =loopCounter")
        )
        s.end("inside_ended")
    s.end()

    assert found(s) == []


# What was seen to need a test of its own: breaking the code was noticed by no other


def test_steps_of_a_loop_have_no_order_to_be_drawn(found: Check, s: Sketch) -> None:
    s.start()
    s.gateway("again")
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.step("stock.pack_stock", undo="stock.unpack_stock")
    s.gateway("enough")
    s.end(condition="=enough")
    s.at("enough", row=2)
    s.step("stock.count_stock", kind="read_only", condition="=not(enough)")
    s.to("again")
    s.row = 0
    with s.on_event("undo_saga", "refused"):
        s.throw("take_all_back")
        s.end("undone")

    assert found(s) == []


def test_a_choice_before_the_undo_guards_the_pivot_but_must_undo_on_each_way(
    found: Check, s: Sketch
) -> None:
    begun(s)
    s.step("orders.confirm_order", kind="pivot")
    s.step("stock.ship_stock", kind="retriable")
    s.end()
    s.undo_all("hold_stock")
    with s.on_event("deadline", "late", "timer", row=11):
        s.gateway("confirmed")
        s.throw("take_back", "hold_stock", condition="=order_confirmed = null")
        s.end("too_late")
        s.at("confirmed", row=2)
        s.end("never_mind", condition="=order_confirmed != null")

    assert found(s) == [("path-without-undo", "late")]


def test_branches_in_a_loop_are_still_branches(found: Check, s: Sketch) -> None:
    s.start()
    s.step("orders.accept_order", undo="orders.reject_order")
    s.gateway("again")
    s.gateway("both", "parallel")
    s.step("stock.hold_stock", undo="stock.release_stock")
    s.gateway("joined", "parallel")
    s.gateway("enough")
    s.end(condition="=enough")
    s.at("both", row=2)
    s.step("payments.charge_card", undo="payments.refund_card")
    s.to("joined")
    s.edge("charge_card", "declined", "error", row=4)
    s.throw("take_back")
    s.end("not_sold")
    s.at("enough", row=6)
    s.step("stock.count_stock", kind="read_only", condition="=not(enough)")
    s.to("again")
    s.row = 0
    s.undo_all("charge_card", "hold_stock", "accept_order")

    assert ("left-branch", "take_back") in found(s)


def test_an_error_that_is_caught_on_its_task_starts_no_undo_at_the_root(
    found: Check, s: Sketch
) -> None:
    begun(s)
    s.step("payments.charge_card", kind="pivot")
    s.end()
    s.edge("charge_card", "declined", "error")
    s.throw("release", "hold_stock")
    s.end("not_sold")
    s.row = 0
    with s.on_event("note_it", "refused"):
        s.end("noted")

    assert found(s) == []


def test_a_way_that_fails_after_the_pivot_needs_no_undo(found: Check, s: Sketch) -> None:
    begun(s)
    s.step("orders.confirm_order", kind="pivot")
    s.step("post.look_up_address", kind="read_only")
    s.end()
    s.undo_all("hold_stock")
    s.edge("look_up_address", "unknown", "error")
    s.end("sent_by_hand")

    assert found(s) == []


def test_what_holds_of_an_inner_sub_process_may_be_said_further_out(
    found: Check, s: Sketch
) -> None:
    s.start()
    with s.inside("all_of_it", extensions=KEEP):
        s.start("outer_begun")
        with s.inside("sell"):
            two_steps(s)
        s.end("outer_ended")
        s.edge("sell", "late", "timer")
        s.end("given_up")
        s.row = 0
    s.end()

    assert found(s) == []
