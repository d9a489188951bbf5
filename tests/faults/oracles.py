"""What must hold of a saga when its faults are over, judged by what services and engine tell.

An oracle knows nothing of what was broken, nor of the ledger's inside: it gets `Evidence`, which is
read through each service's own reader, its own tables, its partner's books, and from the engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

Told = Mapping[str, Any]
"""One event of a service's trail, as `sagaworks.ledger.reader.read_trail` and the worker's
management port tell it."""

Complaint = str


class Effects(NamedTuple):
    """How often the business's own tables, or a partner's books, show a step done and undone."""

    done: int
    undone: int = 0


class Account(NamedTuple):
    """What was put in, and what is found: nothing comes from nowhere, nothing gets lost."""

    name: str
    put_in: object
    found: object


@dataclass(frozen=True)
class Evidence:
    """What is left of one saga.

    Attributes:
        saga_key: its business key.
        ended: what the engine says of its end; empty while it hasn't ended.
        is_done: that end promises that everything is done; else, that everything is undone.
        steps: what must be done in a saga that is done: ``payments.charge_card``.
        told: each service's trail of the saga.
        effects: by step, as the business sees them; only of steps that can be counted so.
        accounts: sums that must agree.
        undos: by step, how many compensation jobs the engine has seen completed.
        accepted: the jobs whose answer the engine has taken; None where nobody knows.
        settled: the services' reconcilers have looked at all that the saga has left open.
        incidents: why the engine waits for a person.
        retries_used: by job type, those that no step has asked for.
        hung: what went on for too long.
    """

    saga_key: str
    ended: str
    is_done: bool
    steps: Sequence[str]
    told: Mapping[str, Sequence[Told]]
    effects: Mapping[str, Effects] = field(default_factory=dict)
    accounts: Sequence[Account] = ()
    undos: Mapping[str, int] = field(default_factory=dict)
    accepted: AbstractSet[int] | None = None
    settled: bool = False
    incidents: Sequence[str] = ()
    retries_used: Mapping[str, int] = field(default_factory=dict)
    hung: str = ""

    def events(self, event: str) -> Counter[str]:
        """Count the trail's events of one kind by step."""
        return Counter(step for step, told in self._told() if told["event"] == event)

    def standing(self) -> Counter[str]:
        """Count the effects that the trails show done and not undone, by step."""
        found = self.events("executed")
        found.subtract(self.events("undone"))
        return +found

    def _told(self) -> Iterator[tuple[str, Told]]:
        for service, trail in self.told.items():
            for told in trail:
                yield f"{service}.{told['step']}", told

    def rows(self) -> Iterator[tuple[str, list[Told]]]:
        """Give each execution's events: one step, `each` and round."""
        found: dict[tuple[object, ...], list[Told]] = {}
        for step, told in self._told():
            found.setdefault((step, told["each"], told["round"]), []).append(told)
        return ((str(key[0]), events) for key, events in found.items())


def terminal(evidence: Evidence) -> Iterator[Complaint]:
    """The saga has ended, and is fully done or fully undone."""
    if not evidence.ended:
        yield "it hasn't ended"
        return
    wanted = Counter(evidence.steps) if evidence.is_done else Counter[str]()
    for step, count in sorted((evidence.standing() - wanted).items()):
        yield f"{step} stands {count} time(s) more than {evidence.ended} promises"
    for step in sorted(wanted - evidence.standing()):
        yield f"{evidence.ended} promises {step}, which isn't done"


def conserved(evidence: Evidence) -> Iterator[Complaint]:
    """Money, stock and parcels add up."""
    for account in evidence.accounts:
        if account.put_in != account.found:
            yield f"{account.name}: {account.put_in} put in, {account.found} found"


def once(evidence: Evidence) -> Iterator[Complaint]:
    """Each execution has one effect: the business shows as many as the ledger's rows tell."""
    executed = evidence.events("executed")
    for step, effects in evidence.effects.items():
        if effects.done != executed[step]:
            yield f"{step}: done {effects.done} time(s), {executed[step]} row(s) tell of it"
    standing: Counter[tuple[str, object]] = Counter()
    for step, events in evidence.rows():
        names = Counter(told["event"] for told in events)
        standing[step, events[0]["each"]] += names["executed"] - names["undone"]
        if names["executed"] + names["refused"] > 1:
            yield f"{step}: one execution was answered more than once"
    for (step, _), count in standing.items():
        if count > 1:
            yield f"{step}: done {count} times at a time"


def paired(evidence: Evidence) -> Iterator[Complaint]:
    """Each undo has an effect, each effect of an undone saga one undo; what is done stands."""
    undone = evidence.events("undone")
    for step, effects in evidence.effects.items():
        if effects.undone != undone[step]:
            yield f"{step}: undone {effects.undone} time(s), {undone[step]} row(s) tell of it"
        left = effects.done - effects.undone
        wanted = int(evidence.is_done and step in evidence.steps)
        if evidence.ended and left != wanted:
            yield f"{step}: {effects.done} done, {effects.undone} undone, {wanted} should stand"
    for step, events in evidence.rows():
        names = [told["event"] for told in events]
        if "undone" in names and "executed" not in names:
            yield f"{step}: undone, and never done"


def no_orphan(evidence: Evidence) -> Iterator[Complaint]:
    """No effect is left that nobody counts on, none in doubt, no call without an answer."""
    for step, events in evidence.rows():
        names, last = [told["event"] for told in events], events[-1]
        if names == ["intended"]:
            yield f"{step}: a call was intended and has no answer"
        stands = "executed" in names and "undone" not in names
        if stands and evidence.ended and not evidence.is_done:
            yield f"{step}: an effect of job {last['job']} is left of a saga that was undone"
        if stands and evidence.settled and evidence.ended and not last["counted"]:
            yield f"{step}: nobody knows whether the engine counts on the effect of {last['jobs']}"
        if evidence.accepted is None or not (stands or (last["counted"] and "refused" in names)):
            continue
        if not evidence.accepted.intersection(last["jobs"]):
            yield f"{step}: the engine has taken no answer of its jobs {last['jobs']}"


def no_hang(evidence: Evidence) -> Iterator[Complaint]:
    """An undo that came before its step leaves a fence, and the late step no effect."""
    fenced: set[str] = set()
    for step, events in evidence.rows():
        names = [told["event"] for told in events]
        stands = "executed" in names and "undone" not in names
        if "fenced" in names:
            fenced.add(step)
        elif step in fenced and stands and not evidence.is_done:
            yield f"{step}: done after it was fenced off"
    told = evidence.events("undone") + evidence.events("fenced")
    for step, count in sorted((Counter(evidence.undos) - told).items()):
        yield f"{step}: {count} undo(s) were completed that no row tells of"


def retries_honest(evidence: Evidence) -> Iterator[Complaint]:
    """What breaks around a step uses up none of its job's retries, and calls no person."""
    for job_type, count in evidence.retries_used.items():
        if count:
            yield f"{job_type}: {count} retries used that no step has asked for"
    for incident in evidence.incidents:
        yield f"incident: {incident}"


def progress(evidence: Evidence) -> Iterator[Complaint]:
    """The saga goes on by itself, and comes to an end."""
    if evidence.hung:
        yield evidence.hung
    if not evidence.ended:
        yield "nothing goes on, and it hasn't ended"


Oracle = Callable[[Evidence], Iterator[Complaint]]

ORACLES: Final[Mapping[str, Oracle]] = {
    oracle.__name__: oracle
    for oracle in (terminal, conserved, once, paired, no_orphan, no_hang, retries_honest, progress)
}
"""By name."""


def judge(evidence: Evidence) -> dict[str, list[Complaint]]:
    """Return what each oracle complains of; empty where everything holds."""
    found = {name: [*oracle(evidence)] for name, oracle in ORACLES.items()}
    return {name: complaints for name, complaints in found.items() if complaints}
