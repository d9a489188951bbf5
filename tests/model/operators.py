"""What comes from elsewhere: the gateway, timers, the operator, starters, and the shelf."""

from collections.abc import Iterator

from tests.model import engine as zeebe
from tests.model.partner import arrives_late
from tests.model.reporting import process
from tests.model.scenario import Fault, Scenario
from tests.model.world import INCIDENT, WAITING, Engine, Instance, Job, World, named

Move = tuple[str, Fault | None, World]


def operator_moves(world: World, scenario: Scenario) -> Iterator[Move]:
    """Give what anybody but workers and reconciler may do next."""
    yield from _late_calls(world, scenario)
    yield from _jobs_meet(world, scenario)
    yield from _instances_meet(world, scenario)
    yield from _starts(world, scenario)
    if scenario.faults & {Fault.RESTORE, Fault.WIPE}:
        yield from _engine_meets(world, scenario)
    if world.refusing:
        yield f"{world.refusing}", Fault.FILL, world._replace(refusing="")


def _late_calls(world: World, scenario: Scenario) -> Iterator[Move]:
    for call in dict.fromkeys(world.late):
        left = list(world.late)
        left.remove(call)
        after = world._replace(late=tuple(left))
        if call.say == "call":
            after = arrives_late(after, scenario, call)
            yield f"a late call of {named(call.job)} reaches the partner", None, after
        else:
            after, code = process(after, scenario, call, None)
            yield f"a late {call.say} of {named(call.job)} arrives: {code}", None, after


def _jobs_meet(world: World, scenario: Scenario) -> Iterator[Move]:
    diagram = scenario.diagram
    for job, state in world.engine.jobs:
        instance = zeebe.instance_of(world.engine, job)
        if state == INCIDENT:
            engine = zeebe.with_state(world.engine, job, WAITING)
            yield named(job), Fault.RESOLVE, world._replace(engine=engine)
        if not job.undoes:
            taken = zeebe.begin_undo(zeebe.end(world.engine, job, "CANCELED"), diagram, instance)
            yield named(job), Fault.TIMER, world._replace(engine=taken)
            yield from _tokens_move(world, scenario, job, instance.at)
            yield named(job), Fault.BY_HAND, _by_hand(world, scenario, job)
        else:
            yield from _moves_out(world, scenario, job, instance)


def _tokens_move(world: World, scenario: Scenario, job: Job, at: int) -> Iterator[Move]:
    moved = zeebe.move(world.engine, scenario.diagram, job, at, job.inputs)
    yield named(job), Fault.MOVE, world._replace(engine=moved)
    other = zeebe.move(world.engine, scenario.diagram, job, at, "other")
    yield named(job), Fault.OTHER_INPUTS, world._replace(engine=other)
    if at > 0:
        back = zeebe.move(world.engine, scenario.diagram, job, at - 1, job.inputs)
        yield named(job), Fault.MOVE_BACK, world._replace(engine=back)


def _moves_out(world: World, scenario: Scenario, job: Job, instance: Instance) -> Iterator[Move]:
    """A handler that is terminated leaves its subscription; not measured, the model's own guess."""
    if sum(one.instance == job.instance for one, _ in world.engine.jobs) > 1:
        return
    if not scenario.out_of_hand and any(hand.job == job for hand in world.hands):
        return
    completed = tuple(sorted((*instance.completed, (job.step, job.each))))
    engine = zeebe.put(world.engine, instance._replace(completed=completed))
    engine = zeebe.move(engine, scenario.diagram, job, 0, "")
    yield named(job), Fault.MOVE_OUT, world._replace(engine=engine)


def _by_hand(world: World, scenario: Scenario, job: Job) -> World:
    engine, _ = zeebe.complete(world.engine, scenario.diagram, job)
    instance = zeebe.instance_of(engine, job)
    by_hand = (*instance.by_hand, (job.step, job.each))
    return world._replace(engine=zeebe.put(engine, instance._replace(by_hand=by_hand)))


def _instances_meet(world: World, scenario: Scenario) -> Iterator[Move]:
    for instance in zeebe.active(world.engine):
        cancelled = zeebe.cancel(world.engine, instance)
        yield (
            f"instance {instance.key} of {instance.saga}",
            Fault.CANCEL,
            world._replace(engine=cancelled),
        )


def _starts(world: World, scenario: Scenario) -> Iterator[Move]:
    """A saga that the engine doesn't know is started again: its starter waits for an answer."""
    for saga in scenario.sagas:
        engine = zeebe.start(world.engine, scenario.diagram, saga)
        known = any(one.saga == saga for one in world.engine.instances)
        if not known:
            yield f"{saga} is started", None, world._replace(engine=engine)
        elif saga == scenario.sagas[0]:
            yield saga, Fault.TWICE, world._replace(engine=engine)


def _engine_meets(world: World, scenario: Scenario) -> Iterator[Move]:
    if world.engine.life > 1:
        return
    if world.backup is None and Fault.RESTORE in scenario.faults:
        yield "the engine is backed up", None, world._replace(backup=world.engine)
    stopped = world if scenario.workers_stay else world._replace(hands=(), finding=None)
    stopped = stopped._replace(late=(), backup=None)
    if world.backup is not None:
        engine = zeebe.restored(world.engine, world.backup)
        yield "workers are stopped", Fault.RESTORE, stopped._replace(engine=engine)
    empty = zeebe.restored(world.engine, Engine())
    yield "workers are stopped", Fault.WIPE, stopped._replace(engine=empty)
