"""`sagaworks diff`: what a new version of a diagram means for the sagas that are under way."""

from sagaworks.diff.changes import Change, Weight
from sagaworks.diff.compare import Comparison, compare
from sagaworks.diff.place import Place

__all__ = ["Change", "Comparison", "Place", "Weight", "compare"]
