"""The service's ledger: the product's own table of decisions on the model's rows.

Only the transaction around it is modelled, with the lock it holds: one move, nothing between.
"""

from functools import cache

from sagaworks.ledger.decide import (
    Consult,
    Late,
    Meant,
    Presence,
    StepDecision,
    UndoDecision,
    Which,
    decide_step,
    decide_undo,
)
from sagaworks.ledger.rows import Arrival, Entry, State
from sagaworks.saga import ElementKey, JobKey, SagaKey
from tests.model.scenario import Bug
from tests.model.world import Effect, Job, Row, Service

PRESENCES = {"held": Presence.HELD, "unheld": Presence.UNHELD, "gone": Presence.GONE}

Asked = tuple[tuple[int, str], ...]
Heard = tuple[tuple[Consult, bool], ...]
Numbered = tuple[tuple[int, Row], ...]


def rows_of(service: Service, job: Job) -> Numbered:
    """The step's rows in this saga, oldest first, each with its id."""
    return tuple(
        (at, row)
        for at, row in enumerate(service.rows)
        if row.saga == job.saga and row.step == job.step
    )


@cache
def decide_on_step(
    job: Job, rows: Numbered, asked: Asked, bug: Bug | None, told: Heard | None
) -> StepDecision:
    """Let the product decide; a bug decides before it."""
    if bug is Bug.KEYED_ON_JOB:
        rows = tuple((at, row) for at, row in rows if job.key in row.jobs)
    entries = [entry_of(at, row) for at, row in rows]
    presences = {JobKey(key): PRESENCES[presence] for key, presence in asked}
    if bug is Bug.ROUND_WITHOUT_PROBE and not any(entry.is_open for entry in entries):
        presences[JobKey(job.key)] = Presence.HELD
    if bug is Bug.KEYS_FOR_ORDER and any(row.jobs[-1] > job.key for _, row in rows):
        return Late()
    return decide_step(_arrival(job), entries, presences, None if told is None else dict(told))


@cache
def decide_on_undo(
    job: Job, rows: Numbered, asked: Asked, meant: Meant | Which | None
) -> UndoDecision:
    """Let the product decide."""
    presences = {JobKey(key): PRESENCES[presence] for key, presence in asked}
    entries = [entry_of(at, row) for at, row in rows]
    return decide_undo(_arrival(job), entries, presences, meant=meant)


def entry_of(at: int, row: Row) -> Entry:
    """The model's row as the product's."""
    return Entry(
        id=at,
        step=row.step,
        each=row.each,
        round=row.round,
        state=State(row.state),
        process_instance=SagaKey(row.instance),
        element_instance=ElementKey(row.jobs[-1]),
        jobs=tuple(JobKey(job) for job in row.jobs),
        loop_counter=None,
        inputs=row.inputs,
        request=None,
        answer=b"{}",
        throw_accepted=row.accepted,
        undone_by=JobKey(row.undone_by) if row.undone_by else None,
    )


def claim(service: Service, job: Job, round_: int, state: str) -> Service:
    """Insert the execution's row."""
    row = Row(job.saga, job.step, job.each, round_, state, job.instance, (job.key,), job.inputs)
    return service._replace(rows=(*service.rows, row))


def change(service: Service, at: int, **columns: object) -> Service:
    row = service.rows[at]._replace(**columns)
    return service._replace(rows=(*service.rows[:at], row, *service.rows[at + 1 :]))


def apply(service: Service, row: Row, name: str, *, done: int = 0, undone: int = 0) -> Service:
    """Do or undo what a row stands for, in the business's own tables."""
    key = (row.saga, row.step, row.each, name)
    found = {effect[:4]: effect for effect in service.effects}
    was = found.get(key, Effect(*key, 0, 0))
    found[key] = was._replace(done=was.done + done, undone=was.undone + undone)
    return service._replace(effects=tuple(sorted(found.values())))


def undo(service: Service, at: int, by: int) -> Service:
    """Undo a row's effect and mark the row, in one transaction."""
    row = service.rows[at]
    service = apply(service, row, str(row.round), undone=1)
    return change(service, at, state="undone", undone_by=row.undone_by or by)


def _arrival(job: Job) -> Arrival:
    return Arrival(
        tenant="<default>",
        saga_key=job.saga,
        process_instance=SagaKey(job.instance),
        process_id="saga",
        step=job.step,
        names=(job.step,),
        job=JobKey(job.key),
        element=job.step,
        element_instance=ElementKey(job.key),
        each=job.each,
        inputs=job.inputs,
    )
