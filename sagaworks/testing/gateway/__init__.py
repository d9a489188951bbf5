"""A scripted gateway: a simulation of the engine's jobs behind real gRPC, for faults only.

It is no engine. It knows no diagram, no scopes of variables, no partitions and no disk; what a saga
does is tested on the real one. It keeps jobs the way the engine 8.6.0 was measured to keep them
(states, locks, retries, back-off, incidents, what each command answers), and it lets a test script
what a healthy engine does too seldom to wait for: lost replies, outages, bursts, the same job
several times at once. One liberty: a job whose lock ends comes back at once, where the engine looks
once a second.
"""

from sagaworks.testing.gateway.calls import Call
from sagaworks.testing.gateway.demands import TENANT, Refused
from sagaworks.testing.gateway.faults import Act, Delay, Fail, Fault, Hold, LoseReply, Pass
from sagaworks.testing.gateway.jobs import Incident, JobState, ScriptedJob
from sagaworks.testing.gateway.server import ScriptedGateway

__all__ = [
    "TENANT",
    "Act",
    "Call",
    "Delay",
    "Fail",
    "Fault",
    "Hold",
    "Incident",
    "JobState",
    "LoseReply",
    "Pass",
    "Refused",
    "ScriptedGateway",
    "ScriptedJob",
]
