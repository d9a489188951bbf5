"""A saga under test: what it has done, what became of it, and assertions that show both."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from sagaworks.history import Element, Incident, Job
from sagaworks.testing.agenda import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from sagaworks.codec import Json
    from sagaworks.ledger.reader import Told
    from sagaworks.saga import SagaKey
    from sagaworks.testing.engines import EngineUnderTest
    from sagaworks.testing.feed import Feed

Outcome = Literal["completed", "undone", "cancelled", "incident"]
Fate = Literal["done", "refused", "taken away", "waiting", "retrying", "incident"]

_STEPS: Final = frozenset(
    {"SERVICE_TASK", "SEND_TASK", "SCRIPT_TASK", "BUSINESS_RULE_TASK", "USER_TASK", "RECEIVE_TASK"}
)


@dataclass(frozen=True, slots=True)
class Passage:
    """One task that the saga has come to.

    Attributes:
        element: its id in the diagram.
        fate: what became of it.
        code: of the error that was thrown.
        message: what the worker said of a refusal or failure, or the engine of an incident.
        undoes: the step that it undoes, if it is a compensation.
    """

    element: str
    fate: Fate
    code: str = ""
    message: str = ""
    undoes: str | None = None

    @property
    def text(self) -> str:
        """The passage without its message: ``charge_card refused CARD_DECLINED``."""
        fate = "" if self.fate == "done" else f" {self.fate}"
        return f"{self.element}{fate}{' ' if self.code else ''}{self.code}"

    def is_told_by(self, words: str) -> bool:
        """Tell whether these words say this: the element's id, with its fate unless it's done."""
        return words in (self.text, f"{self.element} {self.fate}")

    def __str__(self) -> str:
        """Say it in a line."""
        undoes = f", which undoes {self.undoes}" if self.undoes else ""
        return f"{self.text}{undoes}{': ' if self.message else ''}{self.message}"


class RunningSaga:
    """One process instance that a test has started.

    What waits, waits for records of the engine, never for a time: `outcome`, `trail`, `variables`
    and `incidents` await the saga's end or an incident; ``await saga`` does so in an
    asynchronous test.

    Attributes:
        key: the process instance's.
        business_key: the saga's.
        process: its diagram's process id.
    """

    def __init__(  # noqa: PLR0913, PLR0917  where the parts of the fixture meet
        self,
        key: SagaKey,
        business_key: str,
        process: str,
        feed: Feed,
        engine: EngineUnderTest,
        ledger: Callable[[str], list[Told]],
        draw: Callable[[RunningSaga], str],
    ) -> None:
        """Made by `Zeebe.run`."""
        self.key = key
        self.business_key = business_key
        self.process = process
        self._feed = feed
        self._engine = engine
        self._ledger = ledger
        self._draw = draw

    def wait(self, within: float | None = None) -> Self:
        """Wait for the saga's end or an incident; return the saga.

        Args:
            within: seconds of real time, not of the engine's clock.

        Raises:
            AssertionError: it does neither; tells the trail so far and what the saga waits for.
            EngineError: the engine is gone.
        """
        seconds = self._engine.patience if within is None else within
        if not self._feed.wait_for(self._rests, seconds):
            raise self.failure(f"has not ended within {seconds:g} s")
        return self

    def wait_for(self, element: str, within: float | None = None) -> Self:
        """Wait until the saga has come to an element, whatever becomes of it there.

        Raises:
            AssertionError: it doesn't come there, or ends before.
        """
        seconds = self._engine.patience if within is None else within

        def is_there() -> bool:
            return self._has_come_to(element) or self._rests()

        self._feed.wait_for(is_there, seconds)
        if not self._has_come_to(element):
            raise self.failure(f"has not come to {element} within {seconds:g} s")
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        """Await what `wait` waits for."""
        return asyncio.to_thread(self.wait).__await__()

    @property
    def outcome(self) -> Outcome:
        """``completed``, ``undone`` (by way of compensation), ``cancelled`` or ``incident``."""
        return self.wait().outcome_so_far or "incident"

    @property
    def trail(self) -> list[Passage]:
        """The tasks it has come to, in the order in which they ended."""
        return self.wait().trail_so_far

    @property
    def variables(self) -> dict[str, Json]:
        """The saga's variables at its end."""
        self.wait()
        return self._feed.variables(self.key)

    @property
    def incidents(self) -> list[Incident]:
        """What a person must look at; those resolved are left out."""
        return self.wait().incidents_so_far

    @property
    def ends(self) -> list[str]:
        """The ids of the end events it has come to."""
        self.wait()
        ended = (one for one in self._elements() if one.kind == "END_EVENT" and one.ended)
        return [one.id for one in ended]

    @property
    def ledger(self) -> list[Told]:
        """What the ledgers of the services that run in this test tell of it, in order of time."""
        return self._ledger(self.business_key)

    @property
    def outcome_so_far(self) -> Outcome | None:
        """As `outcome`, now; None while it runs."""
        instance = self._feed.history.instance(self.key)
        if instance is None or instance.ended is None:
            return "incident" if self.incidents_so_far else None
        if instance.last == "ELEMENT_TERMINATED":
            return "cancelled"
        thrown = any(_throws_compensation(one) for one in self._elements())
        return "undone" if thrown else "completed"

    @property
    def trail_so_far(self) -> list[Passage]:
        """As `trail`, now."""
        tasks = [one for one in self._elements() if one.kind in _STEPS]
        ended = [one for one in tasks if one.ended is not None]
        return [self._passage(one) for one in (*ended, *(o for o in tasks if o.ended is None))]

    @property
    def incidents_so_far(self) -> list[Incident]:
        """As `incidents`, now."""
        return [one for one in self._feed.history.incidents(self.key) if not one.resolved]

    @property
    def waits_for(self) -> list[str]:
        """What the saga waits for now: jobs that nobody has answered, timers, back-offs."""
        history = self._feed.history
        open_jobs = {job.element_instance: job for job in history.jobs(self.key)}
        taken = self._feed.agenda.jobs_in_hand()
        waiting = (one for one in self._elements() if one.ended is None)
        jobs = [open_jobs[one.key] for one in waiting if one.key in open_jobs]
        dues = [due for due in self._feed.agenda.all() if due.instance == self.key]
        return [*(_awaited(job, taken) for job in jobs), *describe(dues, self._engine.now())]

    def assert_completed(self) -> None:
        """The saga has completed, and nothing was undone."""
        self._demand(self.outcome == "completed", f"is {self.outcome}, not completed")

    def assert_undone(self, *steps: str) -> None:
        """The saga has ended by a compensation, and these steps were undone, in this order.

        Without `steps` only the saga's end is looked at.
        """
        self._demand(self.outcome == "undone", f"is {self.outcome}, not undone")
        undone = [one.undoes for one in self.trail if one.undoes and one.fate == "done"]
        said = ", ".join(str(step) for step in undone) or "nothing"
        self._demand(not steps or undone == [*steps], f"has undone {said}, not {', '.join(steps)}")

    def assert_trail(self, expected: Sequence[str]) -> None:
        """The saga came to these tasks, ended in this order.

        Args:
            expected: an element's id, followed by its fate unless that is *done*, and perhaps by
                the error's code: ``charge_card refused CARD_DECLINED``.
        """
        trail = self.trail
        same = len(trail) == len(expected) and all(
            one.is_told_by(words) for one, words in zip(trail, expected, strict=True)
        )
        self._demand(same, f"went another way than {', '.join(expected)}")

    def assert_ended_at(self, *ends: str) -> None:
        """The saga came to these end events, in any order."""
        found = self.ends
        said = ", ".join(found) or "no end event"
        self._demand(sorted(found) == sorted(ends), f"ended at {said}, not at {', '.join(ends)}")

    def assert_incident(self, words: str = "") -> None:
        """A person must look, and an incident's message has these words in it."""
        messages = [one.message for one in self.incidents]
        self._demand(bool(messages), "has no incident")
        said = "; ".join(messages)
        self._demand(
            any(words in one for one in messages), f"has no incident about {words}: {said}"
        )

    def assert_variables(self, **expected: object) -> None:
        """The saga's variables have these values at its end."""
        found = self.variables
        wrong = [
            f"{n} is {found.get(n)!r}, not {v!r}" for n, v in expected.items() if found.get(n) != v
        ]
        self._demand(not wrong, f"ended with other variables: {'; '.join(wrong)}")

    def failure(self, what: str) -> AssertionError:
        """Return the error that says `what`, with the trail, what is awaited, and a picture."""
        return AssertionError("\n".join([f"saga {self.business_key} {what}", *self._story()]))

    def _demand(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001
        __tracebackhide__ = True
        if not holds:
            raise self.failure(otherwise)

    def _story(self) -> Generator[str, None, None]:
        yield "its trail:"
        yield from [f"  {one}" for one in self.trail_so_far] or ["  nothing yet"]
        for incident in self.incidents_so_far:
            yield f"incident at {incident.element}: {incident.kind}: {incident.message}"
        waits = self.waits_for
        if waits and self.outcome_so_far is None:
            yield f"it waits for: {'; '.join(waits)}"
        if told := self.ledger:
            yield "its ledgers: " + ", ".join(f"{t['step']} {t['event']}" for t in told)
        yield f"its picture: {self._draw(self)}"
        if why := self._engine.why_silent():
            yield why

    def _rests(self) -> bool:
        return self.outcome_so_far is not None

    def _has_come_to(self, element: str) -> bool:
        return any(one.id == element for one in self._elements())

    def _elements(self) -> Sequence[Element]:
        return self._feed.history.elements(self.key)

    def _passage(self, element: Element) -> Passage:
        history = self._feed.history
        jobs = [j for j in history.jobs(self.key) if j.element_instance == element.key]
        undoing = history.undone_by(element.key)
        undoes = undoing.element if undoing else None
        incidents = [i for i in self.incidents_so_far if i.element_instance == element.key]
        fate, code, message = _fate(element, jobs[-1] if jobs else None, incidents)
        return Passage(element.id, fate, code, message, undoes)

    def __repr__(self) -> str:
        """Name it and its state."""
        return f"<saga {self.business_key} ({self.process}): {self.outcome_so_far or 'running'}>"


def _fate(
    element: Element, job: Job | None, incidents: Sequence[Incident]
) -> tuple[Fate, str, str]:
    thrown = job is not None and job.last == "ERROR_THROWN"
    if element.last == "ELEMENT_COMPLETED":
        return "done", "", ""
    if incidents:
        return "incident", "", incidents[-1].message
    if element.ended is not None:
        if job and thrown:
            return "refused", job.error_code, job.error_message
        return "taken away", "", ""
    if job and job.last in ("FAILED", "RECURRED_AFTER_BACKOFF"):
        return "retrying", "", job.error_message
    return "waiting", "", ""


def _throws_compensation(element: Element) -> bool:
    is_throw = element.kind in ("INTERMEDIATE_THROW_EVENT", "END_EVENT")
    return is_throw and element.event == "COMPENSATION" and element.last == "ELEMENT_COMPLETED"


def _awaited(job: Job, taken: set[int]) -> str:
    if job.key in taken:
        return f"the worker that has taken {job.type}"
    if job.last == "FAILED" and job.retries > 0:
        return f"the next try of {job.type}"
    return f"a worker for {job.type}"
