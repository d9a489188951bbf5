"""Remote steps: an intent, a call with the identity's key, its answer; the partner remembers."""

from collections.abc import Iterator

from sagaworks.ledger.decide import Undo
from tests.model import ledger
from tests.model.scenario import Bug, Fault, Scenario
from tests.model.world import Call, Hand, Row, Service, World, named

Move = tuple[str, Fault | None, World]


def take_up(
    world: World, scenario: Scenario, hand: Hand, round_: int = 0, undo: Undo | None = None
) -> Move:
    """Commit the intent, or bind the rows to be undone, before any call."""
    job = named(hand.job)
    if undo:
        row = int(undo.entries[0].id)
        service = world.service
        if not service.rows[row].undone_by:
            service = ledger.change(service, row, undone_by=hand.job.key)
        doing = hand._replace(doing=_next_undo(scenario, service.rows[row]), row=row)
        after = world._replace(service=service).put(hand, doing)
        return f"{job} takes row {row}, to be undone: committed", None, after
    if scenario.has(Bug.CALL_BEFORE_INTENT):
        row = Row(*hand.job[2:5], round_, "", 0, ())
        called, answer = answer_to_call(world, scenario, row)
        doing = hand._replace(doing="intent", row=round_, why=answer, asked=(), seen=())
        world = world._replace(service=called)
        return f"{job} calls its partner first: {answer}", None, world.put(hand, doing)
    service = ledger.claim(world.service, hand.job, round_, "intent")
    doing = hand._replace(doing="call", row=len(service.rows) - 1, asked=(), seen=())
    after = world._replace(service=service).put(hand, doing)
    return f"{job}: the intent of round {round_} is committed", None, after


def remote_moves(world: World, scenario: Scenario, hand: Hand) -> Iterator[Move]:
    """Call, record, undo by a call, record that."""
    job = named(hand.job)
    if hand.doing == "intent":
        service = ledger.claim(world.service, hand.job, hand.row, hand.why)
        say = "throw" if hand.why == "refused" else "complete"
        doing = hand._replace(doing="tell", say=say, row=len(service.rows) - 1, why="")
        after = world._replace(service=service).put(hand, doing)
        yield f"{job}: the row is written after the call", None, after
    elif hand.doing == "call":
        yield from _call(world, scenario, hand)
    elif hand.doing == "record":
        yield _record(world, hand)
    elif hand.doing == "uncall":
        service = uncalled(world.service, scenario, world.service.rows[hand.row])
        after = world._replace(service=service).put(hand, hand._replace(doing="record undo"))
        yield f"{job}: the partner undoes row {hand.row}", None, after
        again = world._replace(service=service).put(hand, None)
        yield f"{job}: the partner undoes row {hand.row}", Fault.LOST_REPLY, again
    elif hand.doing == "record undo":
        yield _record_undo(world, hand)


def answer_to_call(world: World, scenario: Scenario, row: Row) -> tuple[Service, str]:
    """The partner's answer; a key that it knows gets the answer it got before."""
    name = key_of(scenario, row)
    known = [effect for effect in world.service.effects if effect[:4] == (*row[:3], name)]
    if known:
        return world.service, "open" if known[0].done else "refused"
    if world.refusing == row.step and scenario.has(Bug.REFUSAL_FORGOTTEN):
        return world.service, "refused"
    if world.refusing == row.step:
        return ledger.apply(world.service, row, name), "refused"
    return ledger.apply(world.service, row, name, done=1), "open"


def uncalled(service: Service, scenario: Scenario, row: Row) -> Service:
    """The partner undoes what it has under this key, once; of another key it knows nothing."""
    name = key_of(scenario, row)
    there = any(
        effect[:4] == (*row[:3], name) and effect.done > effect.undone for effect in service.effects
    )
    return ledger.apply(service, row, name, undone=1) if there else service


def key_of(scenario: Scenario, row: Row) -> str:
    """The idempotency key: the whole identity, round included."""
    return "" if scenario.has(Bug.KEY_WITHOUT_ROUND) else str(row.round)


def arrives_late(world: World, scenario: Scenario, call: Call) -> World:
    """A call that was under way reaches the partner after all."""
    row = Row(*call.job[2:5], int(call.why), "", 0, ())
    service, _ = answer_to_call(world, scenario, row)
    return world._replace(service=service)


def _call(world: World, scenario: Scenario, hand: Hand) -> Iterator[Move]:
    row = world.service.rows[hand.row]
    service, answer = answer_to_call(world, scenario, row)
    words = f"{named(hand.job)} calls the partner for round {row.round}"
    after = world._replace(service=service)
    yield f"{words}: {answer}", None, after.put(hand, hand._replace(doing="record", why=answer))
    yield words, Fault.LOST_REPLY, after.put(hand, None)
    late = tuple(sorted((*world.late, Call("call", hand.job, str(row.round)))))
    yield words, Fault.DELAYED, world._replace(late=late).put(hand, None)


def _record(world: World, hand: Hand) -> Move:
    """Under the lock: if the intent is still open; then tell, or go on with the undo."""
    job, row = named(hand.job), world.service.rows[hand.row]
    service = world.service
    if row.state == "intent":
        by = 0 if hand.why == "refused" else row.undone_by
        service = ledger.change(service, hand.row, state=hand.why, undone_by=by)
    row = service.rows[hand.row]
    world = world._replace(service=service)
    if hand.job.undoes:
        doing = "uncall" if row.state == "open" else "turn"
        after = world.put(hand, hand._replace(doing=doing, why=""))
        return f"{job}: the intent is finished first: {row.state}", None, after
    if row.state == "undone":
        return f"{job}: undone meanwhile, nothing said", None, world.put(hand, None)
    say = "throw" if row.state == "refused" else "complete"
    after = world.put(hand, hand._replace(doing="tell", say=say, why=""))
    return f"{job}: the answer is recorded: {row.state}", None, after


def _next_undo(scenario: Scenario, row: Row) -> str:
    if row.state == "intent" and not scenario.has(Bug.UNKNOWN_CANCELLED):
        return "call"
    return "uncall"


def _record_undo(world: World, hand: Hand) -> Move:
    row, service = world.service.rows[hand.row], world.service
    if row.is_open:
        by = row.undone_by or hand.job.key
        service = ledger.change(service, hand.row, state="undone", undone_by=by)
    world = world._replace(service=service)
    ours = service.rows[hand.row].undone_by == hand.job.key
    doing = hand._replace(doing="tell", say="complete") if ours else hand._replace(doing="turn")
    doing = doing._replace(row=-1)
    words = f"{named(hand.job)}: the undo of row {hand.row} is recorded"
    return words, None, world.put(hand, doing)
