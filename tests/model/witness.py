"""What history answers the ledger. It is asked between two turns; no such answer changes later."""

from sagaworks.ledger.decide import (
    Consult,
    Meant,
    Question,
    StepDecision,
    UndoDecision,
    Which,
)
from sagaworks.saga import ElementKey
from tests.model import ledger
from tests.model.scenario import Scenario
from tests.model.world import CANCELED, COMPLETED, Hand, Job, World


def decide_on_step(
    world: World, scenario: Scenario, hand: Hand, rows: ledger.Numbered, asked: ledger.Asked
) -> StepDecision:
    """Let the product decide, and history answer what it wants to know."""
    told: ledger.Heard | None = () if scenario.history else None
    while True:
        decision = ledger.decide_on_step(hand.job, rows, asked, scenario.bug, told)
        if not isinstance(decision, Consult) or told is None:
            return decision
        told = (*told, (decision, _tells(world, scenario, hand.job, decision)))


def decide_on_undo(
    world: World, scenario: Scenario, hand: Hand, rows: ledger.Numbered, asked: ledger.Asked
) -> UndoDecision:
    """Let the product decide, and history say what a compensation job undoes."""
    decision = ledger.decide_on_undo(hand.job, rows, asked, Which() if scenario.history else None)
    if isinstance(decision, Which):
        decision = ledger.decide_on_undo(hand.job, rows, asked, _meant(world, hand.job))
    return decision


def _tells(world: World, scenario: Scenario, job: Job, asked: Consult) -> bool:
    if asked.question is Question.UNCAUGHT:
        return not scenario.diagram.catches
    if asked.question is Question.TAKEN_AWAY:
        return any(
            record == CANCELED
            and (one.key, one.saga, one.step) == (asked.about, job.saga, job.step)
            for one, record in world.engine.past
        )
    # No path of the model leads back to a step: only an operator does.
    return False


def _meant(world: World, job: Job) -> Meant | None:
    """The execution that the job's subscription is of: the last that completed in its run."""
    own = (job.instance, job.step, job.target, False)
    done = [
        one.key
        for one, record in world.engine.past
        if record == COMPLETED and (one.instance, one.step, one.each, one.undoes) == own
    ]
    return Meant(frozenset({ElementKey(max(done))}), frozenset()) if done else None
