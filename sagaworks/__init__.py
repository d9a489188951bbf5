"""Sagas drawn in BPMN, run by Camunda 8, carried out by Python workers; effects exactly once."""

from typing import TYPE_CHECKING

from sagaworks.errors import (
    ConfigurationError,
    ContractError,
    EngineError,
    Halt,
    Refusal,
    Retry,
    SagaworksError,
    StepOutcome,
)
from sagaworks.saga import Saga
from sagaworks.service import Service

if TYPE_CHECKING:
    from sagaworks.start import start_saga

__all__ = [
    "ConfigurationError",
    "ContractError",
    "EngineError",
    "Halt",
    "Refusal",
    "Retry",
    "Saga",
    "SagaworksError",
    "Service",
    "StepOutcome",
    "start_saga",
]

__version__ = "0.1.0.dev0"


def __getattr__(name: str) -> object:
    """Import `start_saga` when it's first asked for: a worker needs no starter."""
    if name == "start_saga":
        from sagaworks.start import start_saga  # noqa: PLC0415

        return start_saga
    raise AttributeError(name)
