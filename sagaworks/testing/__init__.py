"""The real engine inside pytest, and a gateway whose faults are scripted.

The fixture `zeebe` comes with the package; see `sagaworks.testing.plugin`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sagaworks.testing.faults import Faults, Point, whatever_breaks
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
    from sagaworks.testing.saga import Passage, RunningSaga
    from sagaworks.testing.stubs import HANG
    from sagaworks.testing.workers import RunningWorker
    from sagaworks.testing.zeebe import Zeebe

__all__ = [
    "HANG",
    "Call",
    "Delay",
    "Fail",
    "Faults",
    "Hold",
    "Incident",
    "JobState",
    "LoseReply",
    "Pass",
    "Passage",
    "Point",
    "RunningSaga",
    "RunningWorker",
    "ScriptedGateway",
    "ScriptedJob",
    "Zeebe",
    "whatever_breaks",
]

_OF_THE_KIT: Final = {
    "HANG": "stubs",
    "Faults": "faults",
    "Passage": "saga",
    "Point": "faults",
    "RunningSaga": "saga",
    "RunningWorker": "workers",
    "Zeebe": "zeebe",
    "whatever_breaks": "faults",
}


def __getattr__(name: str) -> object:
    """Import a name when it's first asked for: pytest loads the plugin in every suite."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"sagaworks.testing.{_OF_THE_KIT.get(name, 'gateway')}")
    return getattr(module, name)
