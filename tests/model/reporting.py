"""Reports: a committed answer is sent until it is taken; then its row is marked."""

from collections.abc import Iterator

from tests.model import engine as zeebe
from tests.model import ledger
from tests.model.scenario import Bug, Fault, Scenario
from tests.model.world import HELD, Call, Hand, World, named

Move = tuple[str, Fault | None, World]

COMMITTED = "nothing is said that isn't committed"
NO_FALSE_REFUSAL = "no refusal after an open effect"
ZOMBIE = "a zombie changes nothing"


def report_moves(world: World, scenario: Scenario, hand: Hand) -> Iterator[Move]:
    """Send, count before sending again, mark."""
    job = named(hand.job)
    if hand.doing == "tell":
        yield from _tells(world, scenario, hand)
    elif hand.doing == "count":
        after = _count(world, scenario, hand)
        yield (
            f"{job}: one more report is counted",
            None,
            after.put(hand, hand._replace(doing="tell")),
        )
    elif hand.doing == "mark":
        yield f"{job}: its row is marked counted", None, _mark(world, hand)
    elif hand.doing == "disown":
        yield f"{job}: NOT_FOUND", None, _disown(world, scenario, hand)
    elif hand.doing == "commit":
        again = hand._replace(doing="turn", say="", why="told")
        yield f"{job}: to be committed", None, world.put(hand, again)


def process(world: World, scenario: Scenario, call: Call, hand: Hand | None) -> tuple[World, str]:
    """The engine carries out a report."""
    before, key = world.engine, call.job.key
    if call.say == "complete":
        engine, code = zeebe.complete(before, scenario.diagram, call.job)
        if code is zeebe.OK and not call.job.undoes and not _is_committed(world, key):
            world = world.breaks(COMMITTED)
    elif call.say == "throw":
        engine, code = zeebe.throw(before, scenario.diagram, call.job)
        caught = scenario.diagram.catches and code is zeebe.OK
        if caught and world.net(call.job.saga, call.job.step, call.job.each) > 0:
            world = world.breaks(NO_FALSE_REFUSAL)
    else:
        engine, code = zeebe.halt(before, call.job)
        if hand and hand.expired and zeebe.state_of(before, key) == HELD:
            world = world.breaks(ZOMBIE)
    return world._replace(engine=engine), code


def _is_committed(world: World, key: int) -> bool:
    return any(key in row.jobs for row in world.service.rows)


def _tells(world: World, scenario: Scenario, hand: Hand) -> Iterator[Move]:
    call = Call(hand.say, hand.job, hand.why)
    words = f"the worker with {named(hand.job)} says {hand.say}"
    if hand.expired and hand.say != "complete" and not scenario.has(Bug.FAIL_WITHOUT_LOCK):
        yield f"{words}: no, its lock has run out", None, world.put(hand, None)
        return
    sent = _sent(world, scenario, hand, 1)
    after, code = process(sent, scenario, call, hand)
    yield f"{words}: {code}", None, after.put(hand, _after(scenario, hand, code))
    again = hand._replace(doing="count") if hand.row >= 0 else hand
    yield words, Fault.LOST_CALL, sent.put(hand, again)
    yield words, Fault.LOST_REPLY, after.put(hand, again)
    if hand.say != "halt":
        yield words, Fault.DELAYED, _with_late(sent, call).put(hand, again)
        twice, code = process(_sent(world, scenario, hand, 2), scenario, call, hand)
        after = _with_late(twice, call)
        yield words, Fault.RESENT, after.put(hand, _after(scenario, hand, code))
        first = _with_late(_sent(world, scenario, hand, 2), call)
        after, _ = process(first, scenario, call, hand)
        lost = after.put(hand, _after(scenario, hand, zeebe.NOT_FOUND))
        yield f"{words}, the second reply comes first", Fault.RESENT, lost._replace(late=world.late)


def _with_late(world: World, call: Call) -> World:
    return world._replace(late=tuple(sorted((*world.late, call))))


def _sent(world: World, scenario: Scenario, hand: Hand, times: int) -> World:
    if scenario.history or hand.row < 0:
        return world
    row = world.service.rows[hand.row]
    sent = row.sent + times
    return world._replace(service=ledger.change(world.service, hand.row, sent=sent))


def _after(scenario: Scenario, hand: Hand, code: str) -> Hand | None:
    """What the worker goes on with, once it has an answer."""
    if scenario.has(Bug.REPORT_BEFORE_COMMIT) and hand.why == "not committed":
        return hand._replace(doing="commit") if code is zeebe.OK else None
    if code is zeebe.OK and hand.row >= 0:
        return hand._replace(doing="mark")
    believes = not scenario.history or scenario.has(Bug.NOT_FOUND_IS_PROOF)
    if code is zeebe.NOT_FOUND and believes and hand.say == "complete" and hand.row >= 0:
        return hand._replace(doing="disown")
    return None


def _count(world: World, scenario: Scenario, hand: Hand) -> World:
    if scenario.history or scenario.has(Bug.COUNTED_AFTER_SENDING):
        return world
    reports = world.service.rows[hand.row].reports + 1
    return world._replace(service=ledger.change(world.service, hand.row, reports=reports))


def _mark(world: World, hand: Hand) -> World:
    refused = world.service.rows[hand.row].state == "refused"
    service = ledger.change(world.service, hand.row, counted=world.engine.life, accepted=refused)
    return world._replace(service=service).put(hand, None)


def _disown(world: World, scenario: Scenario, hand: Hand) -> World:
    """Without history: NOT_FOUND to the only report ever sent withdraws at once."""
    row = world.service.rows[hand.row]
    only = row.reports == 1 or scenario.has(Bug.NOT_FOUND_IS_PROOF)
    if row.is_open and row.jobs[-1] == hand.job.key and only:
        world = world._replace(service=ledger.undo(world.service, hand.row, -1))
    return world.put(hand, None)
