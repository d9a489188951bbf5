"""What the ledger answers a job: what happened, and what to tell the engine."""

import json
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from sagaworks.errors import Refusal


class Outcome(StrEnum):
    """What happened to a job; each is a metric and a word in the log."""

    EXECUTED = "executed"
    REFUSED = "refused"
    REPLAYED = "replayed"
    ADOPTED = "adopted"
    LATE = "late"
    REPEATED = "repeated"
    DUPLICATE = "duplicate"
    CLOSED = "closed"
    COMPENSATED = "compensated"
    NULL_COMPENSATION = "null_compensation"
    READ = "read"


class Say(Enum):
    """The four things to say to the engine about a job; silence lets its lock run out."""

    COMPLETE = auto()
    THROW = auto()
    HALT = auto()
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is committed and may be sent, again and again.

    Attributes:
        variables: JSON object, for COMPLETE.
        code: the BPMN error code, for THROW.
        message: for THROW and HALT.
        row: the ledger row to mark once the engine has accepted the answer.
    """

    outcome: Outcome
    say: Say
    variables: bytes = b"{}"
    code: str = ""
    message: str = ""
    row: int | None = None


def completed(
    outcome: Outcome, variable: str | None, fact: bytes | None, row: int | None
) -> Answer:
    """Answer with the fact as one variable; the stored bytes go out unparsed."""
    if variable is None or fact is None:
        return Answer(outcome, Say.COMPLETE, row=row)
    name = json.dumps(variable).encode()
    return Answer(outcome, Say.COMPLETE, b"{%b:%b}" % (name, fact), row=row)


def thrown(outcome: Outcome, refusal: bytes, row: int | None) -> Answer:
    """Answer with a stored refusal."""
    stored = json.loads(refusal)
    return Answer(outcome, Say.THROW, code=stored["code"], message=stored["message"], row=row)


def refusal_bytes(refusal: Refusal) -> bytes:
    """Return a refusal as the ledger stores it."""
    return json.dumps({"code": refusal.code, "message": refusal.why}).encode()
