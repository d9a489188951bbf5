"""What the engine has done, from its own records: the port, its values, and who answers it."""

from sagaworks.history.connect import connect
from sagaworks.history.known import BrowsableHistory, Known, each_known
from sagaworks.history.memory import MemoryHistory
from sagaworks.history.port import History, HistoryUnavailable, TellsWhatIsDue
from sagaworks.history.remote import HttpHistory
from sagaworks.history.values import DueJob, Element, Incident, Instance, Job, Undoing

__all__ = [
    "BrowsableHistory",
    "DueJob",
    "Element",
    "History",
    "HistoryUnavailable",
    "HttpHistory",
    "Incident",
    "Instance",
    "Job",
    "Known",
    "MemoryHistory",
    "TellsWhatIsDue",
    "Undoing",
    "connect",
    "each_known",
]
