"""What must hold: in every state, and in every state from which nothing goes on by itself."""

from collections.abc import Iterator
from typing import Final

from tests.model.scenario import Scenario, Task
from tests.model.world import ACTIVE, ENDED, INCIDENT, TERMINATED, Instance, Row, World

ONCE: Final = "each execution's effect is applied once"
ONE_OPEN: Final = "no step has two effects at a time"
UNDONE_ONCE: Final = "each effect is undone at most once, and only if it is there"
REPORTS: Final = "no report is sent that its row hasn't counted"
DONE: Final = "a saga that has ended has each of its effects"
UNDONE: Final = "a saga that is undone or cancelled leaves no effect that isn't listed"
KEPT: Final = "what led to a pivot that is done stays, if the operator cancels after it"
NO_HANG: Final = "a saga waits for nothing but a person"
ENDS: Final = "nothing goes on for ever"


def broken_in(world: World, scenario: Scenario) -> str:
    """Return the oracle that this state breaks, or nothing."""
    if world.broken:
        return world.broken
    for effect in world.service.effects:
        if effect.done > 1:
            return ONCE
        if effect.undone > effect.done:
            return UNDONE_ONCE
        if world.net(effect.saga, effect.step, effect.each) > 1:
            return ONE_OPEN
    for row in world.service.rows:
        if not scenario.history and row.sent > row.reports:
            return REPORTS
    return ""


def broken_at_the_end(world: World, scenario: Scenario) -> str:
    """Return the oracle that is broken if nothing goes on from here."""
    if any(
        instance.status == ACTIVE and not waits(world, instance)
        for instance in world.engine.instances
    ):
        return NO_HANG
    for saga in scenario.sagas:
        instance = owner_of(world, saga)
        if instance is None or instance.status == ACTIVE:
            continue
        if broken := _books(world, scenario, instance):
            return broken
    return ""


def owner_of(world: World, saga: str) -> Instance | None:
    """The instance that the saga belongs to, if this life of the engine knows it."""
    owner = dict(world.service.owners).get(saga)
    for instance in world.engine.instances:
        if instance.saga == saga and instance.key == (owner or instance.key):
            return instance
    return None


def _has_record(world: World, row: Row) -> bool:
    """Whether history knows the row's own job in this life."""
    jobs = [job for job, _ in (*world.engine.past, *world.engine.jobs)]
    return any((job.key, job.saga, job.step) == (row.jobs[-1], row.saga, row.step) for job in jobs)


def waits(world: World, instance: Instance) -> bool:
    return any(
        job.instance == instance.key and state == INCIDENT for job, state in world.engine.jobs
    )


def _books(world: World, scenario: Scenario, instance: Instance) -> str:
    left = instance.status == TERMINATED and instance.pivot_done and not instance.undoing
    for at, task in enumerate(scenario.diagram.path):
        there = world.net(instance.saga, task.name, task.each)
        by_hand = (task.name, task.each) in instance.by_hand
        if left and at < instance.at and there != 1 and not by_hand:
            return KEPT
        if instance.status == ENDED:
            if there != 1 and not by_hand:
                return DONE
        elif there and not any(
            _is_listed(world, scenario, row) for row in _open(world, instance, task)
        ):
            return UNDONE
    return ""


def _open(world: World, instance: Instance, task: Task) -> Iterator[Row]:
    for row in world.service.rows:
        if row.is_open and row[:3] == (instance.saga, task.name, task.each):
            yield row


def _is_listed(world: World, scenario: Scenario, row: Row) -> bool:
    """Whether `sagaworks doubts` shows the row to a person, for a reason that the design gives."""
    instance = next((one for one in world.engine.instances if one.key == row.instance), None)
    if not scenario.history:
        return not row.counted or (instance is not None and instance.status == TERMINATED)
    stranded = not scenario.diagram.task(row.step).undo_exists
    earlier_life = row.jobs[-1] < world.engine.born or not _has_record(world, row)
    after_pivot = instance is not None and instance.pivot_done
    return stranded or earlier_life or after_pivot
