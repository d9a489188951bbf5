"""What the engine has done, from its own records: the port, its values, a store in memory."""

from sagaworks.history.memory import MemoryHistory
from sagaworks.history.port import History
from sagaworks.history.values import Element, Incident, Instance, Job, Undoing

__all__ = ["Element", "History", "Incident", "Instance", "Job", "MemoryHistory", "Undoing"]
