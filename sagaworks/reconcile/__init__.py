"""The reconciler: a worker settles its own service's effects by what the engine's history shows.

`effects` reads the rows that aren't settled, `evidence` and `judge` say what history shows of one,
`settling` acts on it under the saga row's lock, `reconciler` goes through them again and again,
`doubts` lists what is left for a person, and does what the person decides.
"""

from sagaworks.reconcile.doubts import Doubt, adopt, doubts_of, keep, withdraw
from sagaworks.reconcile.reconciler import Reconciler, Rhythm

__all__ = ["Doubt", "Reconciler", "Rhythm", "adopt", "doubts_of", "keep", "withdraw"]
