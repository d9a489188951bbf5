"""A remote step's intent: committed before the call, so that whoever comes next makes the same."""

import json
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from sagaworks.errors import Halt
from sagaworks.ledger import statements
from sagaworks.ledger.call import Delivery, read_variables
from sagaworks.ledger.points import Point, reached
from sagaworks.ledger.rows import Entry, State
from sagaworks.step import RemoteStep, Step


@dataclass(frozen=True, slots=True)
class Intent:
    """A committed intent, whose call isn't answered yet."""

    row: int
    round: int
    step: str
    each: str
    request: bytes
    adopted: bool = False

    def of_its_row(self, delivery: Delivery) -> Delivery:
        """Return the delivery as the row knows it: whoever makes the call makes the same call."""
        arrival = replace(delivery.arrival, step=self.step, each=self.each)
        return replace(delivery, arrival=arrival, variables=json.loads(self.request))


def intend(
    step: RemoteStep[..., Any],
    connection: Connection,
    delivery: Delivery,
    round_: int,
    _claimed: None = None,
) -> Intent:
    """Insert the intent's row; nothing is claimed before it.

    Raises:
        Halt: the inputs can't be read; the intent would bind every later call to them.
    """
    read_variables(step, delivery.variables)
    arrival = delivery.arrival
    request = json.dumps(dict(delivery.variables)).encode()
    row = statements.claim(connection, arrival, round_, State.INTENT, request)
    reached(Point.COMMIT, arrival.job)
    return Intent(row, round_, arrival.step, arrival.each or "", request)


def intent_of(entry: Entry, *, adopted: bool = False) -> Intent:
    """Return the intent that a row stands for."""
    request = entry.request or b"{}"
    return Intent(entry.id, entry.round, entry.step, entry.each, request, adopted)


def unanswered(step: Step[..., Any]) -> Halt:
    """Say that a step which is local now has a call under way from when it was remote."""
    what = f"{step.job_type} was a remote_step, and its call isn't answered yet"
    return Halt(f"{what}: run the former version of the worker until it is")
