"""What a step may know about the saga it is part of."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NewType

SagaKey = NewType("SagaKey", int)
"""The process instance's key: the engine's name of a saga."""

JobKey = NewType("JobKey", int)
"""The key of one job."""

ElementKey = NewType("ElementKey", int)
"""The key of one element instance."""

KEY_VARIABLE: Final = "saga_key"
"""The process variable that carries the business key; no step can write it."""

DIGEST_VARIABLE: Final = "saga_digest"
"""The process variable that carries the digest of the start's variables."""

BY_HAND_VARIABLE: Final = "saga_undone_by_hand"
"""The process variable in which a person names the step that was undone without the ledger."""

RESERVED_PREFIX: Final = "saga_"
"""Process variables that begin so belong to the library."""

LONGEST_KEY: Final = 200
"""Characters of a business key; it's part of a unique index, which MariaDB limits to 3072 bytes."""

_PARTITION_FROM: Final = 51
"""The bit of an engine's key from which on its partition stands."""


def partition_of(key: SagaKey) -> int:
    """Return the engine's partition on which all of a process instance is."""
    return key >> _PARTITION_FROM


@dataclass(frozen=True, slots=True)
class Saga:
    """The saga, given to every step that has a parameter annotated `Saga`.

    Attributes:
        key: the process instance's key.
        business_key: what a person calls the saga, an order number for example.
        attempt: 1 at the first delivery of this execution, one more at each further one.
        deadline: when the job's lock ends unless it is extended; aware, UTC.
        idempotency_key: stable over every repetition of this execution, another one for its undo;
            hand it to a partner that remembers keys.
    """

    key: SagaKey
    business_key: str
    attempt: int
    deadline: datetime
    idempotency_key: str
