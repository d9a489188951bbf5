"""The reconciler, straight from the text: history's word on open rows, acted on under the lock."""

from collections.abc import Iterator

from tests.model import ledger
from tests.model.partner import answer_to_call, uncalled
from tests.model.scenario import Bug, Fault, Scenario
from tests.model.world import (
    CANCELED,
    COMPLETED,
    TERMINATED,
    WITHDRAWAL,
    Finding,
    Instance,
    Row,
    World,
)

Move = tuple[str, Fault | None, World]

COUNTED, WITHDRAW = "counted", "withdraw"


def reconciler_moves(world: World, scenario: Scenario) -> Iterator[Move]:
    """Look at history with no lock; act under the lock; carry on with what was recorded."""
    if not scenario.history:
        return
    if world.finding:
        yield _act(world, scenario, world.finding)
    else:
        yield from _look(world, scenario)
    for at, row in enumerate(world.service.rows):
        if row.is_open and row.undone_by == WITHDRAWAL:
            yield _carry_on(world, scenario, at, row)


def _look(world: World, scenario: Scenario) -> Iterator[Move]:
    """The sweep: open rows and intents, newest first."""
    withdrawn = False
    for at, row in reversed([*enumerate(world.service.rows)]):
        if not row.is_open or row.undone_by == WITHDRAWAL:
            continue
        verdict = verdict_on(world, scenario, row)
        if verdict == WITHDRAW and (withdrawn or not _can_undo(scenario, row)):
            continue
        withdrawn = withdrawn or verdict == WITHDRAW
        if verdict:
            words = f"the reconciler reads of row {at} ({row.step}, job {row.jobs[-1]}): {verdict}"
            cancelled = _is_cancelled(world, row) * world.engine.life
            finding = Finding(at, row.jobs[-1], verdict, cancelled)
            yield words, None, world._replace(finding=finding)


def verdict_on(world: World, scenario: Scenario, row: Row) -> str:
    """What history says of a row: counted, withdraw, or nothing that can be believed."""
    instance = _instance(world, scenario, row)
    record = _last_record(world, scenario, row)
    believed = row.jobs[-1] >= world.engine.born or scenario.has(Bug.ACROSS_LIVES)
    if not believed or instance is None or record is None:
        return ""
    begun = _undo_was_left(world, scenario, row)
    if instance.status == TERMINATED or record == CANCELED or begun:
        if scenario.has(Bug.COUNTED_IS_SETTLED) and row.counted:
            return ""
        if instance.pivot_done and not begun and not scenario.has(Bug.PIVOT_FORGOTTEN):
            return ""
        return WITHDRAW
    is_counted = row.counted == world.engine.life
    return COUNTED if record == COMPLETED and not is_counted else ""


def _undo_was_left(world: World, scenario: Scenario, row: Row) -> bool:
    """Whether the compensation job that has begun to undo the row is gone: an undo is final."""
    gone = any(job.key == row.undone_by and job.undoes for job, _ in world.engine.past)
    return gone and not scenario.has(Bug.BOUND_FORGOTTEN)


def _is_cancelled(world: World, row: Row) -> bool:
    return any(
        (one.key, one.saga, one.status) == (row.instance, row.saga, TERMINATED)
        for one in world.engine.instances
    )


def _instance(world: World, scenario: Scenario, row: Row) -> Instance | None:
    """The row's own instance, as history has it."""
    found = [one for one in world.engine.instances if one.saga == row.saga]
    if scenario.has(Bug.BUSINESS_KEY_ALONE):
        return next((one for one in found if one.status == TERMINATED), found[0] if found else None)
    return next((one for one in found if one.key == row.instance), None)


def _last_record(world: World, scenario: Scenario, row: Row) -> str | None:
    """The last record of the row's own job: of that key, and of that saga and step."""
    keys = row.jobs if scenario.has(Bug.AMONG_ITS_JOBS) else row.jobs[-1:]
    lost = world.engine.lost if scenario.has(Bug.ACROSS_LIVES) else ()
    for job, record in (*lost, *world.engine.past):
        own = (job.saga, job.step, job.undoes) == (row.saga, row.step, False)
        if job.key in keys and own:
            return record
    return None


def _can_undo(scenario: Scenario, row: Row) -> bool:
    return scenario.diagram.task(row.step).undo_exists


def _act(world: World, scenario: Scenario, finding: Finding) -> Move:
    """Under the saga row's lock: if the row is open and still has that job."""
    world, row = world._replace(finding=None), world.service.rows[finding.row]
    still = row.is_open and row.jobs[-1] == finding.job
    if scenario.has(Bug.AMONG_ITS_JOBS):
        still = row.is_open and finding.job in row.jobs
    words = f"the reconciler finds row {finding.row} changed, and lets it be"
    service = world.service
    if finding.verdict == COUNTED and row.is_open and row.jobs[-1] == finding.job:
        service = ledger.change(service, finding.row, counted=world.engine.life)
        words = f"the reconciler counts row {finding.row}"
    elif finding.verdict == WITHDRAW and scenario.has(Bug.WITHOUT_LOOKING_AGAIN):
        service = ledger.undo(service, finding.row, WITHDRAWAL)
        words = f"the reconciler withdraws row {finding.row}"
    elif finding.verdict == WITHDRAW and still:
        service = ledger.change(service, finding.row, undone_by=WITHDRAWAL)
        if finding.cancelled and not scenario.has(Bug.NOT_CLOSED):
            mark = (row.saga, row.instance, finding.cancelled)
            service = service._replace(closed=tuple(sorted({*service.closed, mark})))
        words = f"the withdrawal of row {finding.row} is recorded"
    return words, None, world._replace(service=service)


def _carry_on(world: World, scenario: Scenario, at: int, row: Row) -> Move:
    """A recorded withdrawal is undone, again until it works; an intent is finished first."""
    if row.state == "intent":
        service, answer = answer_to_call(world, scenario, row)
        by = 0 if answer == "refused" else WITHDRAWAL
        service = ledger.change(service, at, state=answer, undone_by=by)
        words = f"the reconciler finishes the call of row {at}: {answer}"
        return words, None, world._replace(service=service)
    if scenario.diagram.task(row.step).remote:
        service = uncalled(world.service, scenario, row)
        service = ledger.change(service, at, state="undone")
    else:
        service = ledger.undo(world.service, at, WITHDRAWAL)
    return f"row {at} is withdrawn", None, world._replace(service=service)
