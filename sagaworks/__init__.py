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

if TYPE_CHECKING:
    from sagaworks.service import Service
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
    """Import the heavy names when they are first asked for: `sagaworks --help` needs neither."""
    if name == "Service":
        from sagaworks.service import Service  # noqa: PLC0415

        return Service
    if name == "start_saga":
        from sagaworks.start import start_saga  # noqa: PLC0415

        return start_saga
    raise AttributeError(name)
