"""The engine, as measured: what a command does to it, and what it answers."""

from tests.model.scenario import Diagram
from tests.model.world import (
    ACTIVE,
    CANCELED,
    COMPLETED,
    ENDED,
    ERROR_THROWN,
    HELD,
    INCIDENT,
    TERMINATED,
    UNDONE,
    WAITING,
    Engine,
    Instance,
    Job,
)

OK, NOT_FOUND, PRECONDITION = "OK", "NOT_FOUND", "FAILED_PRECONDITION"


def start(engine: Engine, diagram: Diagram, saga: str) -> Engine:
    instance = Instance(engine.next_key, saga)
    engine = engine._replace(next_key=engine.next_key + 1, instances=(*engine.instances, instance))
    return _arrive(engine, diagram, instance)


def complete(engine: Engine, diagram: Diagram, job: Job) -> tuple[Engine, str]:
    """A late completion is accepted, as long as the job is there."""
    code = answer_to(engine, job)
    if code is not OK:
        return engine, code
    job = job_of(engine, job.key)
    instance = instance_of(engine, job)
    engine = end(engine, job, COMPLETED)
    if job.undoes:
        return _next_undo(engine, diagram, instance), OK
    task = diagram.path[instance.at]
    if task.undone:
        done = tuple(sorted((*instance.completed, (job.step, job.each))))
        instance = instance._replace(completed=done)
    instance = instance._replace(at=instance.at + 1, pivot_done=instance.pivot_done or task.pivot)
    return _arrive(put(engine, instance), diagram, instance), OK


def throw(engine: Engine, diagram: Diagram, job: Job) -> tuple[Engine, str]:
    """An error that nobody catches is an incident; the worker hears OK all the same."""
    code = answer_to(engine, job)
    if code is not OK:
        return engine, code
    job = job_of(engine, job.key)
    if not diagram.catches:
        return with_state(engine, job, INCIDENT), OK
    return begin_undo(end(engine, job, ERROR_THROWN), diagram, instance_of(engine, job)), OK


def halt(engine: Engine, job: Job) -> tuple[Engine, str]:
    code = answer_to(engine, job)
    return (with_state(engine, job, INCIDENT), OK) if code is OK else (engine, code)


def begin_undo(engine: Engine, diagram: Diagram, instance: Instance) -> Engine:
    """The undo event sub-process at the root takes over."""
    instance = instance._replace(undoing=True, at=-1)
    return _next_undo(put(engine, instance), diagram, instance)


def cancel(engine: Engine, instance: Instance) -> Engine:
    """Cancelling compensates nothing, and takes every job away."""
    for job, _ in engine.jobs:
        if job.instance == instance.key:
            engine = end(engine, job, CANCELED)
    return put(engine, instance._replace(status=TERMINATED, completed=()))


def move(engine: Engine, diagram: Diagram, job: Job, at: int, inputs: str) -> Engine:
    """Terminate an element and activate another, or the same again: a new job."""
    instance = instance_of(engine, job)._replace(at=at, undoing=False)
    return _arrive(put(end(engine, job, CANCELED), instance), diagram, instance, inputs)


def answer_to(engine: Engine, job: Job) -> str:
    """What a report of this job is answered; the engine knows nothing but its key."""
    state = state_of(engine, job.key)
    if state is None:
        return NOT_FOUND
    return PRECONDITION if state == INCIDENT else OK


def state_of(engine: Engine, key: int) -> str | None:
    return next((state for job, state in engine.jobs if job.key == key), None)


def job_of(engine: Engine, key: int) -> Job:
    return next(job for job, _ in engine.jobs if job.key == key)


def with_state(engine: Engine, job: Job, state: str) -> Engine:
    jobs = tuple((one, state if one.key == job.key else was) for one, was in engine.jobs)
    return engine._replace(jobs=jobs)


def instance_of(engine: Engine, job: Job) -> Instance:
    return next(one for one in engine.instances if one.key == job.instance)


def end(engine: Engine, job: Job, record: str) -> Engine:
    jobs = tuple(one for one in engine.jobs if one[0].key != job.key)
    return engine._replace(jobs=jobs, past=tuple(sorted((*engine.past, (job, record)))))


def restored(engine: Engine, backup: Engine) -> Engine:
    """The backup's state begins a life of its own, whose keys repeat those of the life before."""
    jobs = tuple((job, WAITING if state == HELD else state) for job, state in backup.jobs)
    return backup._replace(life=engine.life + 1, born=backup.next_key, jobs=jobs, lost=engine.past)


def _arrive(engine: Engine, diagram: Diagram, instance: Instance, inputs: str = "") -> Engine:
    if instance.at == len(diagram.path):
        return put(engine, instance._replace(status=ENDED))
    task = diagram.path[instance.at]
    return _create(engine, instance, [Job(0, 0, "", task.name, task.each, inputs=inputs)])


def _next_undo(engine: Engine, diagram: Diagram, instance: Instance) -> Engine:
    """Go to the next throw event once the last one's handlers are done: all start at once."""
    if any(job.instance == instance.key for job, _ in engine.jobs):
        return engine
    for at in range(instance.at + 1, len(diagram.undo)):
        runs = [each for step, each in instance.completed if step == diagram.undo[at]]
        if runs:
            # The scope's variables are the last run's: every handler sees those.
            job = Job(0, 0, "", diagram.undo[at], runs[-1], undoes=True)
            left = tuple(one for one in instance.completed if one[0] != job.step)
            instance = instance._replace(at=at, completed=left)
            jobs = [job._replace(target=each) for each in runs]
            return _create(put(engine, instance), instance, jobs)
    return put(engine, instance._replace(status=UNDONE))


def _create(engine: Engine, instance: Instance, jobs: list[Job]) -> Engine:
    for job in jobs:
        made = job._replace(key=engine.next_key, instance=instance.key, saga=instance.saga)
        engine = engine._replace(next_key=engine.next_key + 1, jobs=(*engine.jobs, (made, WAITING)))
    return engine


def put(engine: Engine, instance: Instance) -> Engine:
    instances = tuple(instance if one.key == instance.key else one for one in engine.instances)
    return engine._replace(instances=instances)


def active(engine: Engine) -> list[Instance]:
    return [one for one in engine.instances if one.status == ACTIVE]
