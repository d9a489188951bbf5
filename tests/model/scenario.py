"""What is explored: a diagram, the faults that may befall it, and a bug to be caught."""

from enum import StrEnum
from typing import Final, NamedTuple


class Task(NamedTuple):
    """A service task of the diagram.

    Attributes:
        each: which run of a loop it is.
        undone: whether the diagram draws a compensation for it.
        undo_exists: whether the worker has one, so that a withdrawal can call it.
        refuses: whether it may refuse; its shelf holds one unit, so its own effect empties it.
        leads: whether it is the pivot.
    """

    name: str
    each: str = ""
    undone: bool = True
    undo_exists: bool = True
    refuses: bool = False
    pivot: bool = False
    remote: bool = False


class Diagram(NamedTuple):
    """One task after the other; any refusal or timer leads to the undo chain, last step first.

    Attributes:
        undo: the chain's compensation throw events, each naming the step it undoes.
        catches: whether refusals are caught; where not, they end in an incident.
    """

    name: str
    path: tuple[Task, ...]
    undo: tuple[str, ...]
    catches: bool = True

    def task(self, name: str) -> Task:
        return next(task for task in self.path if task.name == name)


class Fault(StrEnum):
    """What may befall a saga; each time costs one of the run's faults."""

    CRASH = "a worker crashes"
    ZOMBIE = "a lock runs out while a worker has the job in hand"
    LOST_CALL = "a report is lost"
    LOST_REPLY = "a report's reply is lost"
    DELAYED = "a report comes late, long after its sender gave up on it"
    RESENT = "the gateway sends a report twice, once late"
    TIMER = "a timer takes the step away and begins the undo"
    CANCEL = "the operator cancels the process instance"
    MOVE = "the operator moves the token: the same element, a new job"
    MOVE_BACK = "the operator moves the token back to the step before"
    MOVE_OUT = "the operator moves the token out of the undo, to the beginning"
    OTHER_INPUTS = "the operator changes a variable and moves the token"
    BY_HAND = "somebody completes the job by hand, with no effect"
    HALT = "the step halts"
    RESOLVE = "the operator resolves an incident"
    FILL = "the shelf that was empty is filled"
    TWICE = "the saga is started a second time"
    RESTORE = "the engine is restored from its backup"
    WIPE = "the engine loses everything"


class Bug(StrEnum):
    """A planted bug: what a careless builder might do instead."""

    ROW_AFTER_EFFECT = "the row is written after the effect, with no lock and no claim"
    REPORT_BEFORE_COMMIT = "the engine is told before the commit"
    KEYED_ON_JOB = "the ledger is keyed on the job's key"
    NO_FENCE = "a compensation with nothing to undo leaves no row"
    REFUSAL_NOT_RECORDED = "a refusal leaves no row"
    ROUND_WITHOUT_PROBE = "a closed row is followed by a new round without asking the engine"
    NOT_FOUND_IS_PROOF = "NOT_FOUND to a report counts as proof that the job was taken away"
    COUNTED_AFTER_SENDING = "a repeated report is counted after it is sent"
    NOT_CLOSED = "the withdrawal of a cancelled instance leaves its saga open for further steps"
    BOUND_FORGOTTEN = "an undo that was begun by a job which is gone is nobody's"
    INSTANCE_KEPT = "a row that is adopted keeps the process instance of its first job"
    KEYS_FOR_ORDER = "a job whose key is smaller than the row's counts as old"
    BUSINESS_KEY_ALONE = "the reconciler matches rows by their business key alone"
    ACROSS_LIVES = "history is believed across lives of the engine"
    AMONG_ITS_JOBS = "the reconciler withdraws a row that has the job among others"
    WITHOUT_LOOKING_AGAIN = "a withdrawal doesn't look at the row again under the lock"
    COUNTED_IS_SETTLED = "a counted effect of a cancelled instance isn't withdrawn"
    PIVOT_FORGOTTEN = "what happened before a pivot that is done is withdrawn"
    FAIL_WITHOUT_LOCK = "a zombie fails its job after its lock ran out"
    CALL_BEFORE_INTENT = "a remote step calls before its intent is committed"
    UNKNOWN_CANCELLED = "a call with an unknown end is cancelled without being finished"
    KEY_WITHOUT_ROUND = "the idempotency key leaves out the round"
    REFUSAL_FORGOTTEN = "the partner remembers what it did under a key, not what it refused"
    STALE_PROBE = "what the engine said of a job is believed after the rows have changed"


class Scenario(NamedTuple):
    """One configuration of the model.

    Attributes:
        budget: how many faults a run may meet.
        history: whether `sagaworks history` listens; where not, NOT_FOUND to the only report ever
            sent withdraws.
        sagas: business keys; the first is started, the others come at any time.
        workers_stay: workers aren't stopped while the engine is restored.
        out_of_hand: the operator moves a token out of an undo that a worker has in hand.
    """

    name: str
    diagram: Diagram
    faults: frozenset[Fault]
    budget: int = 2
    history: bool = True
    workers: int = 2
    sagas: tuple[str, ...] = ("order-42",)
    workers_stay: bool = False
    out_of_hand: bool = False
    bug: Bug | None = None

    def has(self, bug: Bug) -> bool:
        return self.bug is bug


A: Final = Task("A")
B: Final = Task("B", refuses=True)
PIVOT: Final = Task("C", undone=False, refuses=True, pivot=True)
AFTER: Final = Task("D", undone=False)
REMOTE: Final = Task("R", refuses=True, remote=True)
