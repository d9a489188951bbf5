"""Ending a running saga so that nothing of it is left.

`way` finds the cancel path that a deployed diagram draws; `cancel` takes it, or cancels the process
instance and watches the reconcilers undo.
"""

from sagaworks.cancel.cancel import Cancelled, Fate, cancel_saga
from sagaworks.cancel.way import CancelWay, cancel_ways

__all__ = ["CancelWay", "Cancelled", "Fate", "cancel_saga", "cancel_ways"]
