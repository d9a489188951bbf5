"""The ledger's table of decisions: what an arriving job means, given the rows that stand there.

Pure functions over values, so that a test or a model can walk through every case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from sagaworks.ledger.rows import WITHDRAWN, Arrival, Entry, State
from sagaworks.saga import ElementKey, JobKey, SagaKey


class Presence(Enum):
    """What the engine said when asked for a job by UpdateJobTimeout."""

    HELD = auto()
    """OK: the job is activated."""
    UNHELD = auto()
    """FAILED_PRECONDITION: there, but nobody holds it: backing off, or in an incident."""
    GONE = auto()
    """NOT_FOUND: completed or taken away."""


Presences = Mapping[JobKey, Presence]


@dataclass(frozen=True, slots=True)
class Ask:
    """The engine must be asked for this job first, with no lock held; then decide again."""

    job: JobKey


class Question(Enum):
    """What only the engine's history can tell."""

    UNCAUGHT = auto()
    """Did nobody catch what the job threw, so that it waits for a person?"""
    RETURNED = auto()
    """Has the diagram itself come back to the step of this job?"""
    TAKEN_AWAY = auto()
    """Was this job cancelled?"""
    FORGOTTEN = auto()
    """Is this process instance unknown to the engine in its present life?"""
    BORN_AGAIN = auto()
    """Did the instance of the arriving job begin at another time than noted?"""


@dataclass(frozen=True, slots=True)
class Consult:
    """History must be asked this first, with no lock held; then decide again."""

    question: Question
    about: JobKey | SagaKey


Told = Mapping[Consult, bool]
"""What history has answered; None where there is none to be asked."""


@dataclass(frozen=True, slots=True)
class Which:
    """History must say what this compensation job undoes."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What history says that a compensation job undoes.

    Attributes:
        executions: the element instances; a multi-instance body's inner ones are among them.
        jobs: the step's jobs among those, completed.
    """

    executions: frozenset[ElementKey]
    jobs: frozenset[JobKey]


@dataclass(frozen=True, slots=True)
class Execute:
    """Do it, as this round."""

    round: int


@dataclass(frozen=True, slots=True)
class Replay:
    """Give the stored answer again; `adopted` where another job takes the row over."""

    entry: Entry
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """Nobody waits for this job any more: no effect, nothing said."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The effect that stands there is about to be undone: come again when it is."""

    why: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The engine has taken this effect away and asks for another: note that, and come again."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Repeated:
    """A second run of what may run once: a person must look."""

    why: str


@dataclass(frozen=True, slots=True)
class Undo:
    """Undo these entries, newest first."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Undone:
    """This compensation job has done its work already."""


@dataclass(frozen=True, slots=True)
class Fence:
    """There is nothing to undo: leave a row that says so, as this round."""

    round: int


@dataclass(frozen=True, slots=True)
class Unaccounted:
    """The engine wants something undone that no row tells of, and nobody knows what that is."""


StepDecision = Ask | Consult | Execute | Replay | Late | Wait | Withdraw | Repeated
UndoDecision = Ask | Which | Undo | Undone | Late | Fence | Repeated | Unaccounted


def decide_step(
    arrival: Arrival, entries: Sequence[Entry], presences: Presences, told: Told | None = None
) -> StepDecision:
    """Decide on a step's job; `entries` are the step's rows in this saga, oldest first."""
    run = _same_run(arrival, entries)
    own = [entry for entry in run if arrival.job in entry.jobs]
    if own:
        return _seen_before(arrival, own[-1], run, presences, told)
    if any(arrival.job in entry.jobs and _answers(entry) for entry in entries):
        return Repeated(
            f"job {arrival.job} has done {arrival.step} for another `each` than it asks for now: a"
            " variable was changed, or the engine was restored and repeats its keys"
        )
    if not run:
        return Execute(round=1)
    still_open = [entry for entry in run if entry.is_open]
    if still_open:
        return _another_job(arrival, still_open[-1], presences, told)
    return _next_round_if_held(arrival, run, presences)


def decide_undo(
    arrival: Arrival,
    entries: Sequence[Entry],
    presences: Presences = MappingProxyType({}),
    *,
    saga_is_new: bool = False,
    meant: Meant | Which | None = None,
) -> UndoDecision:
    """Decide on a compensation's job; `entries` are the undone step's rows, oldest first.

    `saga_is_new` where this service has never heard of the saga: docs/decisions/0027. `meant` is
    what history says that the job undoes; `Which` where it can be asked, None where it can't, or
    doesn't know.
    """
    if meant is not None and not _is_plain(arrival, entries):
        if isinstance(meant, Which):
            return meant
        decision = _undo_what_is_meant(arrival, entries, meant)
    else:
        decision = _undo_by_the_rows(arrival, entries, saga_is_new=saga_is_new)
    return _if_still_wanted(arrival, decision, presences)


def _is_plain(arrival: Arrival, entries: Sequence[Entry]) -> bool:
    """Whether the rows leave no choice: one open effect, of this run, and none had before."""
    still_open = [entry for entry in entries if entry.is_open]
    run = _same_run(arrival, still_open)
    own = [entry for entry in entries if _touched_by(entry, arrival.job)]
    if own:
        return not any(entry.is_free for entry in entries)
    return len(still_open) == len(run) == 1


def _undo_what_is_meant(arrival: Arrival, entries: Sequence[Entry], meant: Meant) -> UndoDecision:
    found = [entry for entry in entries if entry.element_instance in meant.executions]
    still_open = [entry for entry in found if entry.is_open]
    if still_open:
        return Undo(tuple(reversed(still_open)))
    if any(_touched_by(entry, arrival.job) for entry in found):
        return Undone()
    known = {job for entry in entries for job in entry.jobs}
    if meant.jobs - known and not arrival.undone_by_hand:
        return Unaccounted()
    if any(entry.state is State.FENCE and arrival.job in entry.jobs for entry in entries):
        return Undone()
    return Fence(_round_after(entries))


def _if_still_wanted(
    arrival: Arrival, decision: UndoDecision, presences: Presences
) -> UndoDecision:
    """Ask for the compensation's own job where its effect was taken over by another job since.

    An operator has moved the token out of the undo then, perhaps: docs/decisions/0048.
    """
    if not isinstance(decision, Undo):
        return decision
    if not any(entry.is_free and len(entry.jobs) > 1 for entry in decision.entries):
        return decision
    if arrival.job not in presences:
        return Ask(arrival.job)
    return Late() if presences[arrival.job] is Presence.GONE else decision


def _undo_by_the_rows(
    arrival: Arrival, entries: Sequence[Entry], *, saga_is_new: bool
) -> UndoDecision:
    """Decide without history.

    An undo by a call binds its rows before the call. Another compensation job prefers free rows;
    where there is none it makes the same calls with the same keys, which undoes nothing twice:
    the job that they are bound to may be gone.
    """
    own = [entry for entry in entries if _touched_by(entry, arrival.job)]
    run = _same_run(arrival, entries)
    if own:
        return _undone_before(arrival, own, run)
    if not run and _has_done_it_elsewhere(arrival, saga_is_new=saga_is_new):
        return Unaccounted()
    if arrival.each is None:
        return _undo_without_each(arrival, entries, [entry for entry in run if entry.is_open])
    next_round = _round_after(run)
    if arrival.each and _had_by_other_jobs(run):
        # A plain loop: the engine calls every handler with the last run's variables.
        run = list(entries)
    return _newest(run) or Fence(next_round)


def _undone_before(arrival: Arrival, own: Sequence[Entry], run: Sequence[Entry]) -> UndoDecision:
    unfinished = tuple(entry for entry in reversed(own) if entry.is_open)
    if unfinished:
        return Undo(unfinished)
    since = [entry for entry in run if entry.is_free and entry.id > own[-1].id]
    if not since:
        return Undone()
    return Repeated(
        f"job {arrival.job} has undone {own[-1].step} of job {own[-1].job}, and job {since[-1].job}"
        " has done it anew since; an engine that was restored repeats its keys"
    )


def _seen_before(
    arrival: Arrival,
    entry: Entry,
    run: Sequence[Entry],
    presences: Presences,
    told: Told | None,
) -> StepDecision:
    if entry.is_free:
        return Replay(entry)
    if entry.is_open:
        return _being_undone(arrival, entry, presences)
    if _answers(entry):
        return Replay(entry)
    # Refused and thrown, undone, or fenced: the engine has taken that answer. Only a job that is
    # held right now (an incident was resolved, the engine restored) may decide afresh.
    newer_open = [other for other in run if other.is_open]
    if newer_open:
        return _another_job(arrival, newer_open[-1], presences, told)
    decision = _next_round_if_held(arrival, run, presences)
    if isinstance(decision, Execute) and entry.state is State.REFUSED and told is not None:
        # A throw that was caught ends its job. One that is here all the same belongs to an engine
        # that was restored, and its saga is to go the way it went: docs/decisions/0048.
        asked = Consult(Question.UNCAUGHT, arrival.job)
        return _as_told(asked, told, decision, Replay(entry))
    return decision


def _another_job(
    arrival: Arrival, entry: Entry, presences: Presences, told: Told | None
) -> StepDecision:
    for job in (arrival.job, entry.job):
        if job not in presences:
            return Ask(job)
    if presences[arrival.job] is Presence.GONE:
        return Late()
    if not entry.is_free:
        return _being_undone(arrival, entry, presences)
    return _take_over(arrival, entry, presences[entry.job], told)


def _take_over(arrival: Arrival, entry: Entry, first: Presence, told: Told | None) -> StepDecision:
    """Decide on an open row's new job; history has the last word on two of the cases."""
    why = _why_not_adopted(arrival, entry, first)
    repeated = Repeated(_both(arrival, entry) + why)
    if told is None:
        return repeated if why else Replay(entry, adopted=True)
    if not why:
        asked = Consult(Question.RETURNED, arrival.job)
        again = Repeated(_both(arrival, entry) + ": the diagram itself came back to it")
        return _as_told(asked, told, again, Replay(entry, adopted=True))
    if entry.inputs == arrival.inputs or first is not Presence.GONE:
        return repeated
    return _as_told(Consult(Question.TAKEN_AWAY, entry.job), told, Withdraw(entry), repeated)


def _as_told(asked: Consult, told: Told, yes: StepDecision, no: StepDecision) -> StepDecision:
    if asked not in told:
        return asked
    return yes if told[asked] else no


def _why_not_adopted(arrival: Arrival, entry: Entry, first: Presence) -> str:
    if entry.inputs != arrival.inputs:
        return " with other inputs"
    if entry.loop_counter != arrival.loop_counter:
        return ": `each` doesn't tell the runs of a loop apart"
    return "" if first is Presence.GONE else ", both alive"


def _answers(entry: Entry) -> bool:
    """Whether the row has an answer, or will have one, that its job is still to be given."""
    return entry.is_open or (entry.state is State.REFUSED and not entry.throw_accepted)


def _being_undone(arrival: Arrival, entry: Entry, presences: Presences) -> StepDecision:
    """An undo that has begun is final: its effect can be given to nobody any more."""
    if arrival.job not in presences:
        return Ask(arrival.job)
    if presences[arrival.job] is Presence.GONE:
        return Late()
    return Wait(f"{entry.step} of job {entry.job} is being undone; job {arrival.job} comes after")


def _next_round_if_held(
    arrival: Arrival, run: Sequence[Entry], presences: Presences
) -> StepDecision:
    if arrival.job not in presences:
        return Ask(arrival.job)
    if presences[arrival.job] is not Presence.HELD:
        return Late()
    return Execute(_round_after(run))


def _undo_without_each(
    arrival: Arrival, entries: Sequence[Entry], still_open: Sequence[Entry]
) -> UndoDecision:
    if not still_open:
        return Fence(_round_after(entries))
    if arrival.undo_all:
        return Undo(tuple(reversed(still_open)))
    return Repeated(
        f"the step runs once for each value, {len(still_open)} runs are open, and the job carries"
        " none; set the handler's header `undo` to `all`, or map the value in"
    )


def _has_done_it_elsewhere(arrival: Arrival, *, saga_is_new: bool) -> bool:
    """Say whether an effect without a row is likelier than none: only completed steps are undone.

    A step that declares `each` may have completed without a run: over an empty list.
    """
    return not arrival.undone_by_hand and (
        arrival.taken_over or (saga_is_new and arrival.each == "")
    )


def _had_by_other_jobs(run: Sequence[Entry]) -> bool:
    by_jobs = any(entry.undone_by not in (None, WITHDRAWN) for entry in run)
    return by_jobs and not any(entry.is_free for entry in run)


def _newest(run: Sequence[Entry]) -> Undo | None:
    """Undo the newest free entry of a run, else the newest that another job is about to undo."""
    found = [entry for entry in run if entry.is_free] or [entry for entry in run if entry.is_open]
    return Undo((found[-1],)) if found else None


def _same_run(arrival: Arrival, entries: Sequence[Entry]) -> list[Entry]:
    if arrival.each is None:
        return list(entries)
    return [entry for entry in entries if entry.each in (arrival.each, "") or not arrival.each]


def _touched_by(entry: Entry, job: JobKey) -> bool:
    return entry.undone_by == job or (entry.state is State.FENCE and job in entry.jobs)


def _round_after(run: Sequence[Entry]) -> int:
    return max((entry.round for entry in run), default=0) + 1


def _both(arrival: Arrival, entry: Entry) -> str:
    return f"job {arrival.job} repeats {entry.step} of job {entry.job}"
