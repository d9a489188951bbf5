"""Workers: each has one delivery in hand, and goes on with it a move at a time."""

from collections.abc import Iterator
from typing import Final

from sagaworks.ledger.decide import (
    Ask,
    Execute,
    Fence,
    Late,
    Repeated,
    Replay,
    Undo,
    UndoDecision,
    Wait,
    Withdraw,
)
from tests.model import engine as zeebe
from tests.model import ledger, witness
from tests.model.partner import remote_moves, take_up
from tests.model.reporting import report_moves
from tests.model.scenario import Bug, Fault, Scenario
from tests.model.world import HELD, WAITING, WITHDRAWAL, Hand, Service, World, named

Move = tuple[str, Fault | None, World]

FALSE_HALT: Final = "nobody is called for what isn't a person's business"


def worker_moves(world: World, scenario: Scenario) -> Iterator[Move]:
    """Jobs are taken, locks run out, workers crash, or go on."""
    if len(world.hands) < scenario.workers:
        for job, state in world.engine.jobs:
            if state == WAITING:
                engine = zeebe.with_state(world.engine, job, HELD)
                hands = tuple(sorted((*world.hands, Hand(job))))
                after = world._replace(engine=engine, hands=hands)
                yield f"a worker takes {named(job)}", None, after
    yield from _locks_run_out(world)
    for hand in dict.fromkeys(world.hands):
        yield f"the worker with {named(hand.job)}", Fault.CRASH, world.put(hand, None)
        yield from _goes_on(world, scenario, hand)


def _locks_run_out(world: World) -> Iterator[Move]:
    for job, state in world.engine.jobs:
        if state != HELD:
            continue
        engine = zeebe.with_state(world.engine, job, WAITING)
        holders = [hand for hand in world.hands if hand.job == job and not hand.expired]
        if not holders:
            after = world._replace(engine=engine)
            yield f"the lock of {named(job)}, which nobody has in hand, runs out", None, after
        for hand in holders:
            after = world.put(hand, hand._replace(expired=True))._replace(engine=engine)
            yield named(job), Fault.ZOMBIE, after


def _goes_on(world: World, scenario: Scenario, hand: Hand) -> Iterator[Move]:
    if hand.doing == "ask":
        yield from _asks(world, hand)
    elif hand.doing == "turn":
        yield from _turn(world, scenario, hand)
    elif hand.doing == "effect":
        yield from _effect_without_claim(world, scenario, hand)
    elif hand.doing in {"tell", "count", "mark", "disown", "commit"}:
        yield from report_moves(world, scenario, hand)
    else:
        yield from remote_moves(world, scenario, hand)


def _asks(world: World, hand: Hand) -> Iterator[Move]:
    """The probe, with no lock held."""
    state = zeebe.state_of(world.engine, hand.about)
    presence = "gone" if state is None else "held" if state == HELD else "unheld"
    asked = tuple(sorted((*hand.asked, (hand.about, presence))))
    words = f"{named(hand.job)}: the engine is asked for job {hand.about}: {presence}"
    yield words, None, world.put(hand, hand._replace(doing="turn", asked=asked))


def _turn(world: World, scenario: Scenario, hand: Hand) -> Iterator[Move]:
    """One transaction: lock the saga row, decide, act, commit."""
    owned = _lock(world, hand)
    if _is_closed(world, hand):
        why = f"{named(hand.job)} comes for a saga that was cancelled and withdrawn"
        yield why, None, _halts(world, hand, "closed")
    elif owned is None:
        why = f"{named(hand.job)} is a duplicate: the saga belongs to another instance"
        yield why, None, _halts(world, hand, "duplicate")
    elif hand.job.undoes:
        yield _undo_turn(owned, scenario, hand)
    else:
        yield from _step_turn(owned, scenario, hand)


def _lock(world: World, hand: Hand) -> World | None:
    """The saga row names the process instance that owns the saga, or passes to this one."""
    owners = dict(world.service.owners)
    owner = owners.setdefault(hand.job.saga, hand.job.instance)
    if owner != hand.job.instance and _is_known(world, owner, hand.job.saga):
        return None
    owners[hand.job.saga] = hand.job.instance
    return world._replace(service=world.service._replace(owners=tuple(sorted(owners.items()))))


def _is_closed(world: World, hand: Hand) -> bool:
    """A mark of an earlier life is void for an instance that was created in this one."""
    return not hand.job.undoes and any(
        (saga, instance) == (hand.job.saga, hand.job.instance)
        and (life == world.engine.life or instance < world.engine.born)
        for saga, instance, life in world.service.closed
    )


def _is_known(world: World, instance: int, saga: str) -> bool:
    """What history says of an instance, in this life of the engine."""
    return any((one.key, one.saga) == (instance, saga) for one in world.engine.instances)


def _step_turn(world: World, scenario: Scenario, hand: Hand) -> Iterator[Move]:
    rows = ledger.rows_of(world.service, hand.job)
    stale = rows != hand.seen and not scenario.has(Bug.STALE_PROBE)
    asked = () if stale else hand.asked
    decision = witness.decide_on_step(world, scenario, hand, rows, asked)
    job = named(hand.job)
    if isinstance(decision, Ask):
        yield _is_to_ask(world, hand, decision, rows, asked)
    elif isinstance(decision, Execute):
        yield from _execute(world, scenario, hand, decision.round)
    elif isinstance(decision, Late):
        yield f"{job} is late: nothing said", None, world.put(hand, None)
    elif isinstance(decision, Wait):
        return  # handed back until the undo is done, which the model knows as standing still
    elif isinstance(decision, Withdraw):
        yield _withdraws(world, hand, decision)
    elif isinstance(decision, Repeated):
        yield f"{job} is repeated: {decision.why}", None, _halts(world, hand, "repeated")
    elif isinstance(decision, Replay):
        yield _replay(world, scenario, hand, decision)


def _is_to_ask(
    world: World, hand: Hand, decision: Ask, rows: ledger.Numbered, asked: ledger.Asked
) -> Move:
    doing = hand._replace(doing="ask", asked=asked, seen=rows, about=int(decision.job))
    words = f"{named(hand.job)}: the engine is to be asked for job {decision.job}"
    return words, None, world.put(hand, doing)


def _withdraws(world: World, hand: Hand, decision: Withdraw) -> Move:
    """The job is handed back; it comes again when the reconciler has undone the row."""
    at = int(decision.entry.id)
    service = ledger.change(world.service, at, undone_by=WITHDRAWAL)
    words = f"{named(hand.job)} has other inputs: the withdrawal of row {at} is recorded"
    return words, None, world._replace(service=service).put(hand, None)


def _execute(world: World, scenario: Scenario, hand: Hand, round_: int) -> Iterator[Move]:
    job, task = named(hand.job), scenario.diagram.task(hand.job.step)
    if task.remote:
        yield take_up(world, scenario, hand, round_)
        return
    if scenario.has(Bug.ROW_AFTER_EFFECT):
        doing = hand._replace(doing="effect", row=round_)
        yield f"{job}: no row is there", None, world.put(hand, doing)
        return
    if scenario.has(Bug.REPORT_BEFORE_COMMIT) and hand.why != "told":
        doing = hand._replace(doing="tell", say="complete", why="not committed")
        yield f"{job}: reported first", None, world.put(hand, doing)
        return
    if hand.say == "throw":
        yield _refuse(world, scenario, hand, round_)
    elif task.refuses and is_empty(world, hand, task.name):
        doing = hand._replace(say="throw", asked=(), seen=())
        yield f"{job} refuses: rolled back", None, world.put(hand, doing)
    else:
        yield _effect(world, scenario, hand, round_)
        yield f"{job}, rolled back", Fault.HALT, _halts(world, hand, "the step halts")


def is_empty(world: World, hand: Hand, step: str) -> bool:
    """Whether the shelf is empty: it was, or this very step's own effect has emptied it."""
    return world.refusing == step or world.net(hand.job.saga, step, hand.job.each) > 0


def _effect(world: World, scenario: Scenario, hand: Hand, round_: int) -> Move:
    service = ledger.claim(world.service, hand.job, round_, "open")
    row = len(service.rows) - 1
    service = ledger.apply(service, service.rows[row], str(round_), done=1)
    service = reported(service, row, scenario)
    world = world._replace(service=service)
    if scenario.has(Bug.REPORT_BEFORE_COMMIT):
        return f"{named(hand.job)}: committed", None, world.put(hand, None)
    doing = hand._replace(doing="tell", say="complete", row=row, asked=(), seen=())
    words = f"{named(hand.job)} executes, as round {round_}: committed"
    return words, None, world.put(hand, doing)


def _refuse(world: World, scenario: Scenario, hand: Hand, round_: int) -> Move:
    if scenario.has(Bug.REFUSAL_NOT_RECORDED):
        doing = hand._replace(doing="tell", asked=(), seen=())
        return f"{named(hand.job)}: no row for its refusal", None, world.put(hand, doing)
    service = ledger.claim(world.service, hand.job, round_, "refused")
    row = len(service.rows) - 1
    world = world._replace(service=reported(service, row, scenario))
    words = f"the refusal of {named(hand.job)}, round {round_}, is committed"
    return words, None, world.put(hand, hand._replace(doing="tell", row=row, asked=(), seen=()))


def _replay(world: World, scenario: Scenario, hand: Hand, decision: Replay) -> Move:
    at = int(decision.entry.id)
    row = world.service.rows[at]
    jobs = row.jobs if hand.job.key in row.jobs else (*row.jobs, hand.job.key)
    instance = row.instance if scenario.has(Bug.INSTANCE_KEPT) else hand.job.instance
    service = ledger.change(world.service, at, jobs=jobs, instance=instance)
    if row.state == "intent":
        doing = hand._replace(doing="call", row=at, say="", asked=(), seen=())
        words = f"{named(hand.job)} meets an intent without answer"
        return words, None, world._replace(service=service).put(hand, doing)
    world = world._replace(service=reported(service, at, scenario))
    say = "throw" if row.state == "refused" else "complete"
    word = "adopts the row of" if decision.adopted else "is replayed from the row of"
    words = f"{named(hand.job)} {word} round {row.round}: to {say}"
    return (
        words,
        None,
        world.put(hand, hand._replace(doing="tell", say=say, row=at, asked=(), seen=())),
    )


def reported(service: Service, row: int, scenario: Scenario) -> Service:
    """Count a report that will be sent, where counting them is what decides."""
    if scenario.history:
        return service
    return ledger.change(service, row, reports=service.rows[row].reports + 1)


def _undo_turn(world: World, scenario: Scenario, hand: Hand) -> Move:
    rows = ledger.rows_of(world.service, hand.job)
    asked = hand.asked if rows == hand.seen else ()
    decision = witness.decide_on_undo(world, scenario, hand, rows, asked)
    if isinstance(decision, Ask):
        return _is_to_ask(world, hand, decision, rows, asked)
    if isinstance(decision, Late):
        return f"{named(hand.job)} is late: nothing undone", None, world.put(hand, None)
    return _undoes(world, scenario, hand, decision)


def _undoes(world: World, scenario: Scenario, hand: Hand, decision: UndoDecision) -> Move:
    job, say = named(hand.job), hand._replace(doing="tell", say="complete", asked=(), seen=())
    if isinstance(decision, Repeated):
        return f"{job}: {decision.why}", None, _halts(world, hand, "repeated")
    if isinstance(decision, Fence):
        if scenario.bug is not Bug.NO_FENCE:
            service = ledger.claim(world.service, hand.job, decision.round, "fence")
            world = world._replace(service=service)
        return f"{job} finds nothing to undo: a fence", None, world.put(hand, say)
    if not isinstance(decision, Undo):
        return f"{job} has done its work before: replayed", None, world.put(hand, say)
    if scenario.diagram.task(hand.job.step).remote:
        return take_up(world, scenario, hand, undo=decision)
    service = world.service
    for entry in decision.entries:
        service = ledger.undo(service, int(entry.id), hand.job.key)
    rounds = ", ".join(str(entry.round) for entry in decision.entries)
    words = f"{job} undoes round {rounds}: committed"
    return words, None, world._replace(service=service).put(hand, say)


_MAY_HALT: Final = {
    "duplicate": {"TWICE", "RESTORE", "WIPE"},
    "repeated": {"OTHER_INPUTS", "MOVE_BACK", "MOVE_OUT", "RESTORE", "WIPE"},
    "closed": {"CANCEL"},
}
"""Which faults may lead to which halt; nothing else is a person's business."""


def _halts(world: World, hand: Hand, why: str) -> World:
    expected = why == "the step halts" or _MAY_HALT[why].intersection(world.used)
    world = world if expected else world.breaks(FALSE_HALT)
    return world.put(
        hand, hand._replace(doing="tell", say="halt", why=why, row=-1, asked=(), seen=())
    )


def _effect_without_claim(world: World, scenario: Scenario, hand: Hand) -> Iterator[Move]:
    """The planted bug: effect first, with no lock, then the row, whose unique key may miss."""
    taken = any(
        row.round == hand.row and row.each == hand.job.each
        for _, row in ledger.rows_of(world.service, hand.job)
    )
    if is_empty(world, hand, hand.job.step) and scenario.diagram.task(hand.job.step).refuses:
        doing = hand._replace(doing="tell", say="throw", row=-1)
        yield f"{named(hand.job)} finds the shelf empty and refuses", None, world.put(hand, doing)
    elif taken:
        yield f"{named(hand.job)}: the row is there, rolled back", None, world.put(hand, None)
    else:
        yield _effect(world, scenario, hand, hand.row)
