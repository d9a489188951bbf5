"""One state of the model: everything there is, as immutable values."""

from typing import NamedTuple

WAITING, HELD, INCIDENT = "waiting", "held", "in an incident"
"""What a job is in the engine; one that is gone isn't there."""

COMPLETED, CANCELED, ERROR_THROWN = "COMPLETED", "CANCELED", "ERROR_THROWN"
"""The last record of a job that is gone."""

ACTIVE, ENDED, UNDONE, TERMINATED = "active", "ended", "ended after its undo", "terminated"
"""What a process instance is."""

WITHDRAWAL = -1
"""Stands in `undone_by` for a withdrawal, which has no job."""


class Job(NamedTuple):
    """A job as the engine hands it out.

    Attributes:
        step: the step it runs, or undoes.
        undoes: whether it is a compensation handler's.
    """

    key: int
    instance: int
    saga: str
    step: str
    each: str
    undoes: bool = False
    inputs: str = ""
    target: str = ""
    """Which run it undoes; history knows, the job doesn't say."""


class Instance(NamedTuple):
    """A process instance.

    Attributes:
        at: the place in the diagram's path, or in its undo chain.
        completed: compensation subscriptions: steps that completed and have a handler.
        by_hand: steps that somebody completed without their effect.
    """

    key: int
    saga: str
    at: int = 0
    undoing: bool = False
    status: str = ACTIVE
    completed: tuple[tuple[str, str], ...] = ()
    pivot_done: bool = False
    by_hand: tuple[tuple[str, str], ...] = ()


class Engine(NamedTuple):
    """The engine, and what its exporter has told.

    Attributes:
        life: which life of the engine; a restored or emptied one begins another.
        born: the first key of this life; a record of a smaller one is of an earlier life.
        past: each job that is gone, with its last record.
        lost: the past of the life before, which this life doesn't know.
    """

    life: int = 1
    born: int = 1
    next_key: int = 1
    instances: tuple[Instance, ...] = ()
    jobs: tuple[tuple[Job, str], ...] = ()
    past: tuple[tuple[Job, str], ...] = ()
    lost: tuple[tuple[Job, str], ...] = ()


class Row(NamedTuple):
    """A row of the ledger; its place in the table is its id.

    Attributes:
        state: as `sagaworks.ledger.rows.State`.
        undone_by: the compensation job, `WITHDRAWAL`, or 0.
        counted: the life of the engine in which it was counted, or 0.
        reports: as the row counts them.
        sent: how many there were; nobody in the model looks at it, only an oracle does.
    """

    saga: str
    step: str
    each: str
    round: int
    state: str
    instance: int
    jobs: tuple[int, ...]
    inputs: str = ""
    undone_by: int = 0
    accepted: bool = False
    counted: int = 0
    reports: int = 0
    sent: int = 0

    @property
    def is_open(self) -> bool:
        return self.state in {"open", "intent"}


class Effect(NamedTuple):
    """What one execution has done to the business, and how often."""

    saga: str
    step: str
    each: str
    name: str
    """Which execution: its round, as the ledger or the partner tells them apart."""
    done: int
    undone: int


class Service(NamedTuple):
    """The service's database; a remote partner's books are kept with the effects.

    Attributes:
        closed: saga, instance and life of a cancelled instance whose effects were withdrawn.
    """

    owners: tuple[tuple[str, int], ...] = ()
    rows: tuple[Row, ...] = ()
    effects: tuple[Effect, ...] = ()
    closed: tuple[tuple[str, int, int], ...] = ()


class Hand(NamedTuple):
    """A delivery in a worker's hand.

    Attributes:
        doing: what comes next: turn, ask, call, record, tell, count, mark …
        asked: what the engine said of which job.
        about: the job to ask for.
        seen: the rows that stood there when the engine was asked.
        say: complete, throw or halt; throw before that is told: the step has refused.
        row: the row that it's about, or -1.
        expired: whether its lock has run out.
        why: why it halts, or what a partner answered.
    """

    job: Job
    doing: str = "turn"
    asked: tuple[tuple[int, str], ...] = ()
    about: int = 0
    say: str = ""
    row: int = -1
    expired: bool = False
    why: str = ""
    seen: tuple[tuple[int, Row], ...] = ()


class Call(NamedTuple):
    """A report that is still under way; nobody waits for its reply."""

    say: str
    job: Job
    why: str = ""


class Finding(NamedTuple):
    """What the reconciler read in the history, and hasn't acted on yet."""

    row: int
    job: int
    verdict: str
    cancelled: int = 0
    """The life of the engine in which the row's instance was cancelled, or 0."""


class World(NamedTuple):
    """Everything.

    Attributes:
        late: reports under way, and calls to a partner.
        used: the faults that have come so far.
        refusing: the step whose shelf is empty, or nothing.
        broken: the oracle that a move has broken, or nothing.
    """

    engine: Engine
    service: Service = Service()
    hands: tuple[Hand, ...] = ()
    late: tuple[Call, ...] = ()
    finding: Finding | None = None
    backup: Engine | None = None
    used: tuple[str, ...] = ()
    refusing: str = ""
    broken: str = ""

    def net(self, saga: str, step: str, each: str) -> int:
        """How many effects of this step are there and not undone."""
        return sum(
            effect.done - effect.undone
            for effect in self.service.effects
            if effect[:3] == (saga, step, each)
        )

    def put(self, hand: Hand, instead: Hand | None) -> "World":
        """The world in which a worker has another thing in hand, or nothing."""
        hands = list(self.hands)
        hands.remove(hand)
        if instead:
            hands.append(instead)
        return self._replace(hands=tuple(sorted(hands)))

    def breaks(self, oracle: str) -> "World":
        return self._replace(broken=self.broken or oracle)


def named(job: Job) -> str:
    """A job in words."""
    what = f"undo of {job.step}" if job.undoes else job.step
    each = f"/{job.each}" if job.each else ""
    return f"job {job.key} ({what}{each} of {job.saga})"
