"""One thing in which a service's ledger and the engine's history differ."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagaworks.reconcile.effects import Effect
    from sagaworks.reconcile.judge import Verdict


class What(StrEnum):
    """How they differ."""

    IN_DOUBT = "in_doubt"
    """It isn't known whether the engine counts the effect."""
    FORGOTTEN = "forgotten"
    """The ledger knows the saga, and the engine, in its present life, doesn't."""
    STRANDED = "stranded"
    """The effect is to be undone, and can't be, or couldn't yet."""
    STANDS = "stands"
    """The engine gave the effect up after the pivot, or nobody declared what holds then."""
    UNCOUNTED = "uncounted"
    """The engine counts the effect, and the ledger doesn't know."""
    TAKEN_AWAY = "taken_away"
    """The effect is there, and the engine has taken its job or its saga away."""
    WITHDRAWN = "withdrawn"
    """The effect's undo is recorded, and not carried out yet."""
    OPEN_INTENT = "open_intent"
    """A remote call is under way, or nobody knows its end, for longer than a call takes."""
    NO_LEDGER = "no_ledger"
    """The engine has seen this service do a step, and its ledger doesn't know the saga."""
    TWICE = "twice"
    """Two process instances have one business key, and one is running that isn't the saga's."""
    OVERLOOKED = "overlooked"
    """The engine was to offer a job again, has written on since, and hasn't offered it."""
    DAMAGED = "damaged"
    """A row of the saga can't be read."""


_FIX: Final = "sagaworks audit --fix"

_NEXT: Final[Mapping[What, str]] = {
    What.IN_DOUBT: "look again once history has caught up; `sagaworks trail {key}` shows the saga;"
    " {decide}",
    What.FORGOTTEN: "`sagaworks adopt {key}` once it runs again; {decide}",
    What.STRANDED: "give the step a compensation that works, then sagaworks audit --fix; {decide}",
    What.STANDS: "{decide}",
    What.UNCOUNTED: _FIX,
    What.TAKEN_AWAY: _FIX,
    What.WITHDRAWN: _FIX,
    What.OPEN_INTENT: "its worker makes the same call again; `sagaworks trail {key}` shows the job",
    What.NO_LEDGER: "the database is another's, or rows were lost: see {service}'s database URL",
    What.TWICE: "cancel the one that is a mistake, in Operate, if no service has a row of it:"
    " `sagaworks trail {key}` shows both",
    What.OVERLOOKED: "start the broker again: then it offers the job; `sagaworks trail {key}` shows"
    " the saga",
    What.DAMAGED: "restore the row, or upgrade; until then nothing of the saga is settled",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference, in plain values; `effect` and `verdict` are there where it can be mended.

    Attributes:
        execution: the ledger row's id, where it is about a row.
        age: seconds since the effect began, by the service's database.
        step: empty where it's about the whole saga.
    """

    service: str
    saga_key: str
    what: What
    why: str
    step: str = ""
    each: str = ""
    round: int = 0
    execution: int | None = None
    age: float | None = None
    effect: Effect | None = None
    verdict: Verdict | None = None
    remedy: str = ""

    @property
    def can_be_mended(self) -> bool:
        """Whether `sagaworks audit --fix` does something about it."""
        return self.verdict is not None

    @property
    def next(self) -> str:
        """What to do about it."""
        if self.can_be_mended:
            return _FIX
        decide = f"a person decides: --undo {self.row} or --keep {self.row}"
        return _NEXT[self.what].format(key=self.saga_key, service=self.service, decide=decide)

    @property
    def row(self) -> str:
        """Return how a person names the ledger's row."""
        return f"{self.service}:{self.execution}"

    @property
    def can_be_decided(self) -> bool:
        """Whether a person may say that it stands, or is to be undone."""
        is_open = self.what in {What.IN_DOUBT, What.FORGOTTEN, What.STANDS, What.STRANDED}
        return is_open and self.execution is not None and not self.can_be_mended

    def as_plain(self) -> dict[str, object]:
        """Return it JSON-ready."""
        return {
            "service": self.service,
            "saga_key": self.saga_key,
            "what": self.what,
            "why": self.why,
            "step": self.step,
            "each": self.each,
            "round": self.round,
            "execution": self.execution,
            "age": None if self.age is None else round(self.age, 1),
            "fix": self.remedy if self.can_be_mended else None,
            "next": self.next,
        }

    def as_line(self) -> str:
        """Return it in one line, for people."""
        run = f"{self.step}[{self.each}]" if self.each else self.step
        old = "" if self.age is None else f" ({self.age:.0f} s old)"
        where = " ".join(part for part in (self.service, self.saga_key, run) if part)
        return printable(f"{where}: {self.what.replace('_', ' ')}: {self.why}{old}")


def printable(text: str) -> str:
    """Return text without control characters: a key may hold any."""
    return "".join(one if one.isprintable() else "?" for one in text)
