"""The whole picture: every service's ledger beside the engine's history, and what can be mended.

`books` looks at one service, through its own database alone; `strangers` at what history knows and
no ledger does; `overlooked` at jobs that the engine should have offered again; `picture` puts them
together; `mending` does what the reconciler would, and leaves a row that says who had it done and
why.
"""

from sagaworks.audit.books import Books
from sagaworks.audit.difference import Difference, What
from sagaworks.audit.mending import By
from sagaworks.audit.picture import Picture, Scope, Unasked, look

__all__ = ["Books", "By", "Difference", "Picture", "Scope", "Unasked", "What", "look"]
