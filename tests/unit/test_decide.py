"""The ledger's table of decisions: every short history, and long ones at random, keep its rules."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sagaworks.ledger.decide import (
    Ask,
    Execute,
    Fence,
    Late,
    Presence,
    Repeated,
    Replay,
    StepDecision,
    Unaccounted,
    Undo,
    UndoDecision,
    Undone,
    Wait,
    decide_step,
    decide_undo,
)
from sagaworks.ledger.rows import Arrival, Entry, State
from sagaworks.saga import ElementKey, JobKey, SagaKey

Presences = dict[JobKey, Presence]

STEP_JOBS: Final = (1, 2, 3)
UNDO_JOBS: Final = (11, 12, 13)
EACH: Final = ("a", "b")


def arrival(
    job: int,
    each: str | None = "",
    *,
    inputs: str = "same",
    loop: int | None = None,
    undo_all: bool = False,
) -> Arrival:
    return Arrival(
        tenant="<default>",
        saga_key="order-42",
        process_instance=SagaKey(1),
        process_id="place_order",
        step="hold_stock",
        names=("hold_stock",),
        job=JobKey(job),
        element="hold_stock",
        element_instance=ElementKey(1000 + job),
        each=each,
        loop_counter=loop,
        inputs=inputs,
        undo_all=undo_all,
    )


def entry(
    state: State,
    job: int = 1,
    each: str = "",
    *,
    round_: int = 1,
    undone_by: int | None = None,
    throw_accepted: bool = False,
) -> Entry:
    return Entry(
        id=round_,
        step="hold_stock",
        each=each,
        round=round_,
        state=state,
        process_instance=SagaKey(1),
        element_instance=ElementKey(job),
        jobs=(JobKey(job),),
        loop_counter=None,
        inputs="same",
        request=None,
        answer=b"{}",
        throw_accepted=throw_accepted,
        undone_by=None if undone_by is None else JobKey(undone_by),
    )


def run_of(job: Arrival, rows: Sequence[Entry]) -> list[Entry]:
    """Say it once more, in other words: the rows that the arriving job may mean."""
    return [row for row in rows if not job.each or not row.each or row.each == job.each]


def open_rows(rows: Sequence[Entry]) -> list[Entry]:
    return [row for row in rows if row.state in {State.OPEN, State.INTENT}]


def opened_since(own: Sequence[Entry], run: Sequence[Entry]) -> list[Entry]:
    """Those that were opened after the newest of a compensation's own rows."""
    newest = max((row.id for row in own), default=0)
    return [
        row
        for row in run
        if row.undone_by is None and newest and row.id > newest and row in open_rows(run)
    ]


# The rules.


def check_step(
    job: Arrival, rows: Sequence[Entry], asked: Presences, decided: StepDecision
) -> None:
    run = run_of(job, rows)
    if isinstance(decided, Ask):
        assert decided.job not in asked, "asked twice"
    if isinstance(decided, Execute):
        assert not open_rows(run), "executed beside an open row of the same run"
        assert decided.round > max((row.round for row in run), default=0)
        assert not run or asked.get(job.job) is Presence.HELD, "a new round of an unheld job"
    if isinstance(decided, Replay):
        row = decided.entry
        unthrown = row.state is State.REFUSED and not row.throw_accepted
        assert unthrown or row in open_rows(rows), "replayed a closed row"
        assert decided.adopted == (job.job not in row.jobs)
        assert row.undone_by is None or unthrown, "gave an effect that is being undone"
    if isinstance(decided, Replay) and decided.adopted:
        assert decided.entry in run
        assert decided.entry.inputs == job.inputs
        assert decided.entry.loop_counter == job.loop_counter
        assert asked[job.job] is not Presence.GONE
        assert asked[decided.entry.job] is Presence.GONE
    if isinstance(decided, Late):
        assert asked[job.job] is not Presence.HELD, "a held job must be answered"
    if isinstance(decided, Wait):
        assert any(row.undone_by for row in open_rows(rows)), "waited for nothing"
        assert asked[job.job] is not Presence.GONE
    if isinstance(decided, Repeated):
        elsewhere = [row for row in rows if job.job in row.jobs and row not in run]
        assert open_rows(run) or elsewhere
        assert elsewhere or asked[job.job] is not Presence.GONE
        assert f"job {job.job}" in decided.why


def check_undo(job: Arrival, rows: Sequence[Entry], decided: UndoDecision) -> None:
    run = run_of(job, rows)
    own = [row for row in rows if row.undone_by == job.job]
    fences = [row for row in rows if row.state is State.FENCE and job.job in row.jobs]
    touched = [row for row in rows if row in own or row in fences]
    if isinstance(decided, Undo):
        assert decided.entries
        assert {*decided.entries} <= {*open_rows(rows)}, "undid a closed row"
        assert len(decided.entries) == 1 or job.undo_all or own
        ids = [row.id for row in decided.entries]
        assert ids == sorted(ids, reverse=True), "not the newest first"
        assert {*decided.entries} <= {*own} or not own, "went on to another effect"
        taken = [row for row in decided.entries if row.undone_by not in (None, job.job)]
        free = [row for row in open_rows(run) if row.undone_by is None]
        assert job.undo_all or not (taken and free), "took another's row beside a free one"
        assert own or job.undo_all or not free or decided.entries == (free[-1],), "not the newest"
    if isinstance(decided, Undone):
        assert own or any(row.state is State.FENCE and job.job in row.jobs for row in rows)
        assert not open_rows(own), "left its own undo unfinished"
    if isinstance(decided, Fence):
        assert not open_rows(run), "an effect was there to be undone"
        assert not own
        assert decided.round > max((row.round for row in run), default=0)
    if isinstance(decided, Undone):
        assert not opened_since(touched, run), "took an effect that came since for undone"
    if isinstance(decided, Repeated):
        assert opened_since(touched, run) or (job.each is None and not job.undo_all)


def all_step_decisions(
    job: Arrival, rows: Sequence[Entry], asked: Presences
) -> Iterator[tuple[Presences, StepDecision]]:
    """Decide with every answer that the engine might give to what is asked."""
    decided = decide_step(job, rows, asked)
    yield asked, decided
    if isinstance(decided, Ask):
        for presence in Presence:
            yield from all_step_decisions(job, rows, {**asked, decided.job: presence})


def short_histories() -> Iterator[tuple[Entry, ...]]:
    """Give every history of at most two rows, also ones that can't come about."""
    shapes = [
        entry(State.OPEN),
        entry(State.INTENT),
        entry(State.OPEN, undone_by=11),
        entry(State.INTENT, undone_by=11),
        entry(State.REFUSED),
        entry(State.REFUSED, throw_accepted=True),
        entry(State.UNDONE, undone_by=11),
        entry(State.FENCE, job=11),
    ]
    rows = [
        replace(shape, each=each, jobs=shape.jobs if shape.state is State.FENCE else (JobKey(job),))
        for shape, each, job in product(shapes, ("", "a", "b"), STEP_JOBS[:2])
    ]
    yield ()
    for first in rows:
        if JobKey(2) in first.jobs:  # the same as job 1, but for its name
            continue
        yield (first,)
        for second in rows:
            yield (first, replace(second, id=2, round=2))


def test_every_step_job_after_every_short_history_keeps_the_rules() -> None:
    jobs = [
        arrival(job, each, inputs=inputs, loop=loop)
        for job, each, (inputs, loop) in product(
            STEP_JOBS, ("", "a"), (("same", None), ("other", None), ("same", 2))
        )
    ]
    for rows, job in product(short_histories(), jobs):
        for asked, decided in all_step_decisions(job, rows, {}):
            check_step(job, rows, asked, decided)


def test_every_compensation_job_after_every_short_history_keeps_the_rules() -> None:
    jobs = [arrival(job, each) for job, each in product(UNDO_JOBS[:2], ("", "a", None))]
    jobs += [arrival(job, None, undo_all=True) for job in UNDO_JOBS[:2]]
    for rows, job in product(short_histories(), jobs):
        check_undo(job, rows, decide_undo(job, rows))


@pytest.mark.parametrize("each", ["", "a", None])
@pytest.mark.parametrize("saga_is_new", [False, True])
@pytest.mark.parametrize("taken_over", [False, True])
@pytest.mark.parametrize("by_hand", [False, True])
def test_what_no_row_tells_of_is_undone_by_nobody_in_silence(
    each: str | None,
    saga_is_new: bool,  # noqa: FBT001
    taken_over: bool,  # noqa: FBT001
    by_hand: bool,  # noqa: FBT001
) -> None:
    job = replace(arrival(11, each), taken_over=taken_over, undone_by_hand=by_hand)

    decided = decide_undo(job, [], saga_is_new=saga_is_new)

    unknown = taken_over or (saga_is_new and each == "")
    assert decided == (Unaccounted() if unknown and not by_hand else Fence(1))


def test_where_a_row_tells_of_it_nothing_else_decides() -> None:
    for rows in short_histories():
        for each in ("", "a", None):
            job = arrival(11, each)
            marked = replace(job, taken_over=True)
            if run_of(job, rows):
                assert decide_undo(marked, rows) == decide_undo(job, rows)


class LongHistories(RuleBasedStateMachine):
    """Jobs come and go as the engine likes; rows follow from what was decided, and only so."""

    rows: list[Entry]
    each: tuple[str, ...]

    @initialize(looped=st.booleans())
    def begin(self, looped: bool) -> None:  # noqa: FBT001  hypothesis draws it
        self.rows = []
        self.each = EACH if looped else ("",)

    @rule(
        job=st.sampled_from(STEP_JOBS),
        pick=st.integers(0, 1),
        presences=st.tuples(*[st.sampled_from(Presence)] * len(STEP_JOBS)),
        becomes=st.sampled_from([State.OPEN, State.INTENT, State.REFUSED]),
    )
    def a_step_arrives(
        self, job: int, pick: int, presences: tuple[Presence, ...], becomes: State
    ) -> None:
        arriving = arrival(job, self.each[pick % len(self.each)])
        known = dict(zip(map(JobKey, STEP_JOBS), presences, strict=True))
        asked: Presences = {}
        while isinstance(decided := decide_step(arriving, self.rows, asked), Ask):
            check_step(arriving, self.rows, asked, decided)
            asked[decided.job] = known[decided.job]
        check_step(arriving, self.rows, asked, decided)
        if isinstance(decided, Execute):
            self._add(entry(becomes, job, arriving.each or "", round_=decided.round))
        elif isinstance(decided, Replay) and decided.adopted:
            self._change(decided.entry, jobs=(*decided.entry.jobs, arriving.job))

    @rule(
        job=st.sampled_from(UNDO_JOBS),
        pick=st.sampled_from([0, 1, None]),
        undo_all=st.booleans(),
        finished=st.booleans(),
    )
    def a_compensation_arrives(
        self,
        job: int,
        pick: int | None,
        undo_all: bool,  # noqa: FBT001  hypothesis draws it
        finished: bool,  # noqa: FBT001  hypothesis draws it
    ) -> None:
        carried = (
            None if pick is None and self.each == EACH else self.each[(pick or 0) % len(self.each)]
        )
        arriving = arrival(job, carried, undo_all=undo_all)
        decided = decide_undo(arriving, self.rows)
        check_undo(arriving, self.rows, decided)
        if isinstance(decided, Undo):
            for row in decided.entries:
                state = State.UNDONE if finished else row.state
                self._change(row, state=state, undone_by=row.undone_by or arriving.job)
        elif isinstance(decided, Fence):
            self._add(entry(State.FENCE, job, carried or "", round_=decided.round))

    @rule(at=st.integers(0, 9))
    def the_engine_takes_a_throw(self, at: int) -> None:
        refused = [row for row in self.rows if row.state is State.REFUSED]
        if refused:
            self._change(refused[at % len(refused)], throw_accepted=True)

    @rule(at=st.integers(0, 9), becomes=st.sampled_from([State.OPEN, State.REFUSED]))
    def a_partner_answers(self, at: int, becomes: State) -> None:
        intents = [row for row in self.rows if row.state is State.INTENT]
        if intents:
            row = intents[at % len(intents)]
            by = row.undone_by if becomes is State.OPEN else None
            self._change(row, state=becomes, undone_by=by)

    @invariant()
    def one_run_has_one_open_row(self) -> None:
        for each in self.each:
            assert len(open_rows([row for row in self.rows if row.each == each])) <= 1

    @invariant()
    def no_execution_has_two_rows(self) -> None:
        identities = [(row.each, row.round) for row in self.rows]
        assert len({*identities}) == len(identities)

    def _add(self, row: Entry) -> None:
        self.rows.append(replace(row, id=len(self.rows) + 1))

    def _change(self, row: Entry, **values: object) -> None:
        self.rows[row.id - 1] = replace(row, **values)  # type: ignore[arg-type]  # its own fields


TestLongHistories = LongHistories.TestCase
TestLongHistories.settings = settings(
    max_examples=60,
    stateful_step_count=20,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


# What the rules leave open, said by example.


def test_a_repeated_job_names_both_jobs_and_why() -> None:
    rows = [entry(State.OPEN, job=1)]
    alive = {JobKey(1): Presence.UNHELD, JobKey(2): Presence.HELD}

    decided = decide_step(arrival(2), rows, alive)

    assert decided == Repeated("job 2 repeats hold_stock of job 1, both alive")


def test_the_arriving_job_is_asked_about_before_the_one_that_was_first() -> None:
    rows = [entry(State.OPEN, job=1)]

    assert decide_step(arrival(2), rows, {}) == Ask(JobKey(2))
    assert decide_step(arrival(2), rows, {JobKey(2): Presence.HELD}) == Ask(JobKey(1))


def test_a_job_refused_in_an_earlier_round_is_compared_with_the_later_one() -> None:
    rows = [
        entry(State.REFUSED, job=1, throw_accepted=True),
        replace(entry(State.OPEN, job=2, round_=2), id=2),
    ]

    assert decide_step(arrival(1), rows, {JobKey(1): Presence.GONE, JobKey(2): Presence.HELD}) == (
        Late()
    )


@pytest.mark.parametrize("order", [(11, 12), (12, 11)])
def test_two_handlers_of_a_loop_share_its_runs(order: tuple[int, int]) -> None:
    rows = [entry(State.OPEN, job=1, each="a"), replace(entry(State.OPEN, 2, "b"), id=2)]

    undone = []
    for job in order:
        decided = decide_undo(arrival(job, "b"), rows)
        assert isinstance(decided, Undo)
        undone += [row.each for row in decided.entries]
        rows = [
            replace(row, undone_by=JobKey(job)) if row in decided.entries else row for row in rows
        ]

    assert undone == ["b", "a"]


@pytest.mark.parametrize("job", [1, 2])
def test_an_effect_that_is_being_undone_is_given_to_no_job(job: int) -> None:
    """Found by tests/model: the saga went on with an effect that was withdrawn a moment later."""
    rows = [entry(State.OPEN, job=1, undone_by=11)]
    asked = {JobKey(1): Presence.GONE, JobKey(job): Presence.HELD}

    assert isinstance(decide_step(arrival(job), rows, asked), Wait)
    assert decide_step(arrival(job), rows, {**asked, JobKey(job): Presence.GONE}) == Late()


@pytest.mark.parametrize("before", [State.UNDONE, State.FENCE])
def test_a_compensation_whose_key_came_before_does_not_pass_over_a_newer_effect(
    before: State,
) -> None:
    """Found by tests/model: a restored engine repeats its keys, and the effect stood for ever."""
    rows = [
        entry(before, job=11, undone_by=11 if before is State.UNDONE else None),
        replace(entry(State.OPEN, job=2, round_=2), id=2),
    ]

    decided = decide_undo(arrival(11), rows)

    assert isinstance(decided, Repeated)
    assert "job 2 has done it anew since" in decided.why


def test_a_handler_of_a_loop_whose_sibling_is_about_to_undo_has_still_done_its_work() -> None:
    rows = [
        entry(State.UNDONE, job=1, each="a", undone_by=12),
        replace(entry(State.OPEN, 2, "b", undone_by=11), id=2),
    ]

    assert decide_undo(arrival(12, "b"), rows) == Undone()


def test_a_job_is_not_given_the_answer_of_another_run_of_its_loop() -> None:
    """Found by tests/model: in a restored engine the second run's job has the first one's key."""
    rows = [entry(State.OPEN, job=1, each="a")]

    decided = decide_step(arrival(1, "b"), rows, {})

    assert isinstance(decided, Repeated)
    assert "another `each`" in decided.why
