"""A diagram as an SVG picture in its own layout, with a saga's way painted on it."""

from sagaworks.picture.paint import PAINTS, Mark, Marks, State
from sagaworks.picture.sheet import draw
from sagaworks.picture.trail import paint_trail

__all__ = ["PAINTS", "Mark", "Marks", "State", "draw", "paint_trail"]
