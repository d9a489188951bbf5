"""The real engine on this machine: fetched, started, kept up, stopped. See `up`."""

from sagaworks.engine.java import Java, find_java
from sagaworks.engine.local import Stopped, down, status, up, warm
from sagaworks.engine.places import Home
from sagaworks.engine.ports import Ports
from sagaworks.engine.running import Engine
from sagaworks.engine.training import Trained

__all__ = [
    "Engine",
    "Home",
    "Java",
    "Ports",
    "Stopped",
    "Trained",
    "down",
    "find_java",
    "status",
    "up",
    "warm",
]
