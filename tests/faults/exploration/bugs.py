"""Bugs planted in the real code, one at a time: what an exploration that finds none is worth.

Each is what somebody could write who hasn't read the ledger's decisions.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from typing import Any

import pytest
from grpc import StatusCode
from sqlalchemy import select

from sagaworks.ledger import call, decide, local, protocol, remote, statements, store, turns
from sagaworks.ledger.answers import Outcome, Say, completed, thrown
from sagaworks.ledger.decide import Execute, Late
from sagaworks.ledger.points import Point, reached
from sagaworks.ledger.rows import State
from sagaworks.ledger.session import open_session
from sagaworks.ledger.tables import saga as saga_table
from sagaworks.reconcile import evidence, judge
from sagaworks.runtime import handler, reports
from tests.faults.exploration import run

Patch = pytest.MonkeyPatch


def row_after_effect(patch: Patch) -> None:
    def run_step(taking: Any, step: Any, delivery: Any, held: Any) -> Any:
        round_ = taking.decided(step, delivery, lambda _connection, _delivery, round_, *_: round_)
        if not isinstance(round_, int):
            return round_
        with taking.writing() as connection, open_session(connection) as session:
            fact = call.call_step(step, delivery, round_, session)
        with taking.writing() as connection:
            row = statements.claim(connection, delivery.arrival, round_)
            statements.answer(connection, row, State.CLAIM, State.OPEN, fact)
            reached(Point.COMMIT, delivery.arrival.job)
        return completed(Outcome.EXECUTED, step.fact_variable, fact, row)

    patch.setattr(local, "run_step", run_step)


def commit_after_report(patch: Patch) -> None:
    answered, runs = handler.Handler._answered, protocol.Ledger.run

    def run(ledger: Any, task: Any, delivery: Any, held: Any) -> Any:
        ledger.opened = ExitStack()
        if task.remote:
            return runs(ledger, task, delivery, held)
        with ExitStack() as opened:
            connection = opened.enter_context(ledger.store.writing())
            within = turns.Turns(
                ledger.store, ledger._turns._probe, lambda: nullcontext(connection)
            )
            answer = protocol._carry_out(within, task, delivery, held)
            ledger.opened = opened.pop_all()
            return answer

    async def report(self: Any, held: Any, answer: Any) -> None:
        with self._crew._ledger.opened:
            await answered(self, held, answer)

    patch.setattr(protocol.Ledger, "run", run)
    patch.setattr(handler.Handler, "_answered", report)


def keyed_on_the_job(patch: Patch) -> None:
    def decided(arrival: Any, entries: Any, *known: Any) -> Any:
        own = [entry for entry in entries if arrival.job in entry.jobs]
        return decide.decide_step(arrival, own, *known) if own else Execute(len(entries) + 1)

    patch.setattr(turns, "decide_step", decided)


def no_fence(patch: Patch) -> None:
    claims = statements.claim

    def claim(
        connection: Any, arrival: Any, round_: int, state: Any = State.CLAIM, *more: Any
    ) -> int:
        return 0 if state is State.FENCE else claims(connection, arrival, round_, state, *more)

    patch.setattr(statements, "claim", claim)


def refusal_not_recorded(patch: Patch) -> None:
    patch.setattr(local, "_refuse", lambda encoded, *_: thrown(Outcome.REFUSED, encoded, None))


def a_zombie_opens_a_round(patch: Patch) -> None:
    def next_round(_arrival: Any, run: Any, *_known: Any) -> Any:
        return Execute(decide._round_after(run))

    patch.setattr(decide, "_next_round_if_held", next_round)


def a_compensation_moves_on(patch: Patch) -> None:
    def decided(arrival: Any, entries: Any, *known: Any, **more: Any) -> Any:
        newest = decide._newest(decide._same_run(arrival, entries))
        return newest or decide.decide_undo(arrival, entries, *known, **more)

    patch.setattr(turns, "decide_undo", decided)


def not_found_is_proof(patch: Patch) -> None:
    after = reports.Reports._refused

    async def withdraw(self: Any, held: Any, answer: Any, reply: Any) -> None:
        ledger = self._count_report.args[0]
        undo = _undo_of(held.task)
        if reply.code is StatusCode.NOT_FOUND and answer.say is Say.COMPLETE and undo:
            with ledger.store.writing() as connection, open_session(connection) as session:
                entry = statements.entry_by_id(connection, answer.row)
                undo.function(session, call.read_fact(held.task, entry.answer))
                session.flush()
                statements.undo(connection, entry.id, entry.job)
        await after(self, held, answer, reply)

    patch.setattr(reports.Reports, "_refused", withdraw)


def _undo_of(task: Any) -> Any:
    undos = task.service.compensations.values()
    return next((undo for undo in undos if undo.step is task), None)


def keys_tell_who_is_newer(patch: Patch) -> None:
    def decided(arrival: Any, entries: Any, *known: Any) -> Any:
        if any(entry.is_open and arrival.job < entry.job for entry in entries):
            return Late()
        return decide.decide_step(arrival, entries, *known)

    patch.setattr(turns, "decide_step", decided)


def one_key_is_one_saga(patch: Patch) -> None:
    patch.setattr(turns, "_duplicate", lambda _row, _delivery: None)


def a_lost_claim_commits(patch: Patch) -> None:
    patch.setattr(statements, "_hit_one", lambda *given, **_: statements._hits(*given))
    patch.setattr(store, "_refuse_lost", lambda _connection: None)


def none_in_the_code(_patch: Patch) -> None:
    """The bug is in the database."""


def the_saga_row_is_only_read(patch: Patch) -> None:
    locks = turns._lock

    def lock(connection: Any, delivery: Any, **more: Any) -> Any:
        arrival = delivery.arrival
        ours = saga_table.c.tenant == arrival.tenant, saga_table.c.saga_key == arrival.saga_key
        found = connection.execute(select(saga_table).where(*ours)).first()
        if found is None:
            return locks(connection, delivery, **more)
        # A row that was touched already isn't new.
        told = found.closed_began, found.ended_in
        return statements.saga_row(found.process_instance, found.start_digest, 2, *told)

    patch.setattr(turns, "_lock", lock)
    # The other one must have looked before the sleeper commits, also on a busy machine.
    patch.setattr(run, "_SOON", 2.0)


def the_wrong_fact(patch: Patch) -> None:
    undoes, facts = local.undo_entry, {}

    def undo_entry(undo: Any, delivery: Any, entry: Any, session: Any) -> None:
        first = facts.setdefault(undo.name, entry.answer)
        undoes(undo, delivery, replace(entry, answer=first), session)

    patch.setattr(local, "undo_entry", undo_entry)


def an_outage_burns_retries(patch: Patch) -> None:
    async def hand_back(self: Any, held: Any, why: str) -> None:
        await self._reports.fail(held, held.job.retries - 1, why)

    patch.setattr(handler.Handler, "_hand_back", hand_back)


def a_doubtful_completion_fails(patch: Patch) -> None:
    async def complete(self: Any, held: Any, answer: Any) -> None:
        sent = self._commands.complete(held.key, answer.variables, seconds=5.0)
        if (await sent).code is not StatusCode.OK:
            await self.fail(held, held.job.retries - 1, "it couldn't be completed")

    patch.setattr(reports.Reports, "_complete", complete)


def undone_before_it_is_marked(patch: Patch) -> None:
    answered, marks, later = handler.Handler._answered, statements.undo, list[Any]()

    async def mark(self: Any, held: Any, answer: Any) -> None:
        await answered(self, held, answer)
        with self._crew._ledger.store.writing() as connection:
            while later:
                marks(connection, *later.pop())

    patch.setattr(statements, "undo", lambda _at, *given, **_: later.append(given))
    patch.setattr(handler.Handler, "_answered", mark)


def each_call_has_a_key_of_its_own(patch: Patch) -> None:
    key_of = call.idempotency_key

    def idempotency_key(*given: Any) -> str:
        return f"{key_of(*given)}/{uuid.uuid4()}"

    patch.setattr(call, "idempotency_key", idempotency_key)


def a_replay_decides_again(patch: Patch) -> None:
    def before(_arrival: Any, _entry: Any, run: Any, *_known: Any) -> Any:
        return Execute(decide._round_after(run))

    patch.setattr(decide, "_seen_before", before)


def history_of_any_life_is_believed(patch: Patch) -> None:
    def instance(self: Any, key: Any) -> Any:
        return self._history.instance(key)

    def job(self: Any, effect: Any) -> Any:
        return self._history.job(effect.entry.job)

    patch.setattr(evidence.Evidence, "instance", instance)
    patch.setattr(evidence.Evidence, "job", job)


def an_unknown_call_is_cancelled(patch: Patch) -> None:
    finishes = remote.answered

    def answered(within: Any, undo: Any, delivery: Any, entry: Any) -> Any:
        if entry.state is not State.INTENT:
            return finishes(within, undo, delivery, entry)
        with within.writing() as connection:
            statements.answer(connection, entry.id, State.INTENT, State.REFUSED, b"{}")
        return replace(entry, state=State.REFUSED)

    patch.setattr(remote, "answered", answered)


def counted_before_it_is_accepted(patch: Patch) -> None:
    sends = reports.Reports._complete

    def complete(self: Any, held: Any, answer: Any) -> Any:
        self._marks.add(answer.row)
        return sends(self, held, answer)

    patch.setattr(reports.Reports, "_complete", complete)


def what_was_taken_away_is_counted(patch: Patch) -> None:
    def withdrawn(_instance: Any, _evidence: Any, why: str, *_: Any, **__: Any) -> Any:
        return judge.Verdict(judge.Act.COUNT, why)

    patch.setattr(judge, "_withdrawn", withdrawn)
