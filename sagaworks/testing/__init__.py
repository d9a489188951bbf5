"""What tests of workers need beside plain functions: a gateway whose faults are scripted."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sagaworks.testing.gateway import (
        Call,
        Delay,
        Fail,
        Hold,
        Incident,
        JobState,
        LoseReply,
        Pass,
        ScriptedGateway,
        ScriptedJob,
    )

__all__ = [
    "Call",
    "Delay",
    "Fail",
    "Hold",
    "Incident",
    "JobState",
    "LoseReply",
    "Pass",
    "ScriptedGateway",
    "ScriptedJob",
]


def __getattr__(name: str) -> object:
    """Import what is asked for: pytest loads a plugin from below here in every run."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("sagaworks.testing.gateway"), name)
