"""For the bench only: our runtime with the ledger left out, which tells what the ledger costs.

Each step runs in a plain transaction of its own: no saga row, no claim, no replay, no mark. A
duplicate delivery has its effect twice, and a fact lives in this process' memory until its saga
ends. No user can switch this on.
"""

from typing import Any

from sagaworks.errors import Refusal
from sagaworks.ledger.answers import Answer, Outcome, Say, completed, refusal_bytes, thrown
from sagaworks.ledger.call import Delivery, call_compensation, call_step
from sagaworks.ledger.session import open_session
from sagaworks.ledger.store import Store
from sagaworks.ledger.turns import Held, Probe
from sagaworks.ledger.witness import Witness
from sagaworks.saga import JobKey
from sagaworks.step import Compensation, Step


class WithoutLedger:
    """Stands where `Ledger` stands, and keeps none.

    Args:
        store: the service's database.
    """

    def __init__(self, store: Store, _probe: Probe, *, witness: Witness | None = None) -> None:
        """Keep the database; nobody is asked about a job."""
        del witness
        self.store = store
        self._facts: dict[str, bytes | None] = {}

    def run(
        self,
        task: Step[..., Any] | Compensation[Any],
        delivery: Delivery,
        _held: Held = lambda: True,
    ) -> Answer:
        """Carry out one delivery of a job in a plain transaction."""
        if isinstance(task, Compensation):
            return self._undo(task, delivery)
        try:
            with self.store.writing() as connection, open_session(connection) as session:
                fact = call_step(task, delivery, 0, session)
        except Refusal as refusal:
            return thrown(Outcome.REFUSED, refusal_bytes(refusal), None)
        self._facts[delivery.arrival.saga_key] = fact
        return completed(Outcome.EXECUTED, task.fact_variable, fact, None)

    def mark_counted(self, rows: list[int]) -> None:
        """Nothing is marked: no answer has a row."""

    def report_again(self, row: int, job: JobKey) -> None:
        """Nothing is counted: no answer has a row."""

    def _undo(self, undo: Compensation[Any], delivery: Delivery) -> Answer:
        fact = self._facts.pop(delivery.arrival.saga_key)
        with self.store.writing() as connection, open_session(connection) as session:
            call_compensation(undo, delivery, 0, fact, session)
        return Answer(Outcome.COMPENSATED, Say.COMPLETE)
