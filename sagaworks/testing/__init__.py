"""What tests of workers need beside plain functions: a gateway whose faults are scripted."""

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
