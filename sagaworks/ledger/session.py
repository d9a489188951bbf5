"""The session that a step is given: inside the ledger's transaction, which isn't its to end."""

from typing import Final

from sqlalchemy import Connection
from sqlmodel import Session

from sagaworks.errors import SagaworksError

MAY_NOT_COMMIT: Final = "a step can't commit: its effect commits with its ledger row"

MAY_NOT_ROLL_BACK: Final = "a step can't roll back; raise a Refusal, a Retry or any other error"


class StepSession(Session):
    """A session inside the ledger's transaction, which isn't the step's to end."""

    def commit(self) -> None:
        """Refuse: the effect and its ledger row commit together."""
        raise SagaworksError(MAY_NOT_COMMIT)

    def rollback(self) -> None:
        """Refuse: raise an error to roll back everything."""
        raise SagaworksError(MAY_NOT_ROLL_BACK)


def open_session(connection: Connection) -> StepSession:
    """Return a session that works inside the connection's transaction."""
    return StepSession(bind=connection, join_transaction_mode="rollback_only")
