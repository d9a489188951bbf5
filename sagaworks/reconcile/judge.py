"""What is to become of an open row, by what history shows. Nothing is done here."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from sagaworks.errors import SagaworksError
from sagaworks.history import HistoryUnavailable, Instance, Job
from sagaworks.history.deployed import KEEP, UNDO
from sagaworks.ledger.rows import WITHDRAWN, State
from sagaworks.reconcile.effects import Effect
from sagaworks.reconcile.evidence import ENDED, TERMINATED, Evidence


class Act(Enum):
    """What is to be done with a row."""

    NOTHING = auto()
    """Its saga goes on."""
    SETTLE = auto()
    """Nothing is left to be done about it, whatever becomes of its saga's others."""
    COUNT = auto()
    """The engine counts it as done."""
    WITHDRAW = auto()
    """The engine has taken it away: record that, then undo it."""
    UNDO = auto()
    """Its undo is recorded: carry it out."""
    LIST = auto()
    """It can't be decided, or not undone: a person must look."""


class Kind(StrEnum):
    """Why a row is listed."""

    IN_DOUBT = "in_doubt"
    """It isn't known whether the engine counts it."""
    FORGOTTEN = "forgotten"
    """The engine doesn't know its process instance, or doesn't any more."""
    STRANDED = "stranded"
    """It is to be undone and can't be."""
    STANDS = "stands"
    """The engine has given it up after the saga's pivot, or nobody has declared what holds then."""
    RECORDED = "recorded"
    """A person wants it undone; the worker is about to."""
    KEPT = "kept"
    """A person has looked, and lets it stand."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done, and why.

    Attributes:
        kind: for LIST.
        closes: when the row's instance had begun, where it was cancelled: its saga is over.
        is_proved: whether it rests on nothing but records that were seen: one that couldn't be read
            changes nothing about it.
    """

    act: Act
    why: str = ""
    kind: Kind = Kind.IN_DOUBT
    closes: int | None = None
    is_proved: bool = False


_GOES_ON = Verdict(Act.NOTHING)
_SETTLED = Verdict(Act.SETTLE)
_SURELY_SETTLED = Verdict(Act.SETTLE, is_proved=True)
_UNDO = Verdict(Act.UNDO, is_proved=True)


def judge(effect: Effect, evidence: Evidence) -> Verdict:
    """Say what is to become of an open row; LIST where what is needed for it can't be read.

    Raises:
        HistoryUnavailable: history can't be asked.
    """
    try:
        verdict = _judged(effect, evidence)
    except HistoryUnavailable:
        raise
    except SagaworksError as error:
        # A deployed diagram that can't be read, for example.
        return Verdict(Act.LIST, str(error))
    if verdict.is_proved:
        return verdict
    # What is missing may be the pivot's end, or that of what the step stood in.
    acts = verdict.act in {Act.WITHDRAW, Act.SETTLE}
    missing = evidence.unread(effect.entry.process_instance, again=acts)
    return Verdict(Act.LIST, missing) if missing else verdict


def _judged(effect: Effect, evidence: Evidence) -> Verdict:
    entry = effect.entry
    if entry.undone_by == WITHDRAWN:
        return _UNDO
    if effect.listed == Kind.KEPT:
        return _SURELY_SETTLED
    instance = evidence.instance(entry.process_instance)
    if instance is None:
        return _unknown(effect, evidence)
    if entry.undone_by is not None:
        # Whoever begins an undo must end it, also after the pivot: docs/decisions/0033.
        return _UNDO if evidence.undo_is_over(effect) else _GOES_ON
    is_plain = evidence.mark_holds(effect) and instance.last != TERMINATED
    if is_plain and not evidence.is_nested(effect, instance):
        return _SURELY_SETTLED if instance.last == ENDED else _GOES_ON
    return _by_its_job(effect, instance, evidence)


def _unknown(effect: Effect, evidence: Evidence) -> Verdict:
    instance = effect.entry.process_instance
    why = f"the engine's history knows no process instance {instance} of it"
    if evidence.has_come_past(effect):
        return Verdict(Act.LIST, why, Kind.FORGOTTEN)
    return Verdict(Act.LIST, f"{why}, and isn't known to have come so far")


def _by_its_job(effect: Effect, instance: Instance, evidence: Evidence) -> Verdict:
    job = evidence.job(effect)
    if job is None and effect.counted and instance.last == ENDED:
        return _SETTLED
    if job is None:
        why = f"the engine's history has no record of job {effect.entry.job}"
        return Verdict(Act.LIST, why)
    if instance.last == TERMINATED:
        why = f"process instance {instance.key} was cancelled"
        return _withdrawn(instance, evidence, why, closes=instance.began)
    if job.last == "CANCELED":
        return _withdrawn(instance, evidence, f"job {job.key} was taken away")
    if job.last != "COMPLETED":
        return _GOES_ON
    return _completed(effect, job, instance, evidence)


def _completed(effect: Effect, job: Job, instance: Instance, evidence: Evidence) -> Verdict:
    left = evidence.left(job, instance) if evidence.is_nested(effect, instance) else None
    if left == UNDO:
        return _withdrawn(instance, evidence, "what it stood in was terminated")
    if left not in {None, KEEP}:
        if not evidence.knows_diagram(instance):
            return _without_diagram("what it stood in was terminated")
        why = "what it stood in was terminated, and declares no `saga.leave`: undo or keep"
        return Verdict(Act.LIST, why, Kind.STANDS)
    if not effect.counted or effect.entry.state is State.INTENT:
        return Verdict(Act.COUNT, f"job {job.key} was completed", is_proved=True)
    return _SETTLED if instance.last == ENDED or left == KEEP else _GOES_ON


def _withdrawn(
    instance: Instance, evidence: Evidence, why: str, closes: int | None = None
) -> Verdict:
    if not evidence.knows_diagram(instance):
        return _without_diagram(why)
    if evidence.pivot_done(instance):
        return Verdict(Act.LIST, f"{why}, after the saga's pivot was done", Kind.STANDS)
    return Verdict(Act.WITHDRAW, why, closes=closes)


def _without_diagram(why: str) -> Verdict:
    """Nothing is undone where it isn't known whether the pivot is done, and what is declared."""
    return Verdict(Act.LIST, f"{why}, but the engine's history has no diagram of it")
