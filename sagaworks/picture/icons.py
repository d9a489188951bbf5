"""The small signs in tasks, events and gateways, as paths from their middle."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lxml.etree import _Element as Node

from sagaworks.picture.paint import Paint
from sagaworks.picture.svg import Point, add, stroke


def _circle(radius: float) -> str:
    across = 2 * radius
    return f"m-{radius} 0a{radius} {radius} 0 1 0 {across} 0a{radius} {radius} 0 1 0 -{across} 0z"


def _star(corners: int, outer: float, inner: float) -> str:
    """Return the outline of a star; as many corners between as outside."""
    points = []
    for step in range(2 * corners):
        radius = inner if step % 2 else outer
        angle = math.pi * step / corners - math.pi / 2
        points.append((radius * math.cos(angle), radius * math.sin(angle)))
    return _outline(points)


def _gear() -> str:
    """Return the outline of a cogwheel with eight teeth."""
    points = []
    for step in range(32):
        radius = 9.0 if step % 4 in (1, 2) else 6.5
        angle = math.tau * (step - 0.5) / 32
        points.append((radius * math.cos(angle), radius * math.sin(angle)))
    return _outline(points)


def _outline(points: Sequence[Point]) -> str:
    """Return a closed path around its middle; each corner relative to the one before."""
    moves, (x0, y0) = [], (0.0, 0.0)
    for x, y in points:
        moves.append(f"{x - x0:.1f} {y - y0:.1f}")
        # What was written is rounded: the errors must not add up.
        x0, y0 = x0 + round(x - x0, 1), y0 + round(y - y0, 1)
    return f"m{'l'.join(moves)}z"


ENVELOPE: Final = ("m-9 -6h18v12h-18z", "m-9 -6l9 7l9 -7")
CROSS: Final = (
    "m-8 -5.5l2.5 -2.5l5.5 5.5l5.5 -5.5l2.5 2.5l-5.5 5.5l5.5 5.5l-2.5 2.5"
    "l-5.5 -5.5l-5.5 5.5l-2.5 -2.5l5.5 -5.5z"
)
HAND: Final = (
    "m-9 -1l5 -6q2 -1.5 3 .5l-2.5 3.5h10.5q1.7 0 1.7 1.6t-1.7 1.6h-6"
    "m4 0h1.4q1.6 0 1.6 1.5t-1.6 1.5h-2.6m1.2 0q1.4 0 1.4 1.5t-1.4 1.5h-1.6"
    "q1.2 .2 1.2 1.4t-1.4 1.4h-9.5q-1.4 0 -2.7 -1.6v-8.4"
)
PLUS: Final = "m-2 -9h4v7h7v4h-7v7h-4v-7h-7v-4h7z"

EVENTS: Final[Mapping[str, Sequence[str]]] = {
    "cancel": [CROSS],
    "compensate": ["m-9 0l8 -6v12zm9 0l8 -6v12z"],
    "conditional": ["m-7 -9h14v18h-14z", "m-4 -5h8m-8 3.5h8m-8 3.5h8m-8 3.5h8"],
    "error": ["m-8 8l5 -15l6 7l5 -8l-5 16l-6 -8z"],
    "escalation": ["m-6 8l6 -16l6 16l-6 -7z"],
    "link": ["m-9 -4h9v-5l9 9l-9 9v-5h-9z"],
    "message": ENVELOPE,
    "multiple": [_star(5, 10, 8.09)],
    "parallelMultiple": [PLUS],
    "signal": ["m0 -9l9 15h-18z"],
    "terminate": [_circle(9)],
    "timer": [_circle(10), "m0 -7.5v7.5l5 2"],
}
"""What an event is about; the first path is filled where the event throws."""

TASKS: Final[Mapping[str, Sequence[str]]] = {
    "businessRuleTask": ["m-9 -7h18v14h-18z", "m-9 -2.5h18m-18 4.75h18m-12 -4.75v9.5"],
    "manualTask": [HAND],
    "receiveTask": ENVELOPE,
    "scriptTask": [
        "m-4.5 -8.5h12.5q-4.5 4.2 -1.5 8.5t-2 8.5h-12.5q4.5 -4.2 1.5 -8.5t2 -8.5z",
        "m-4 -4.5h8m-7.4 3h7.4m-6.4 3h8m-8 3h7.4",
    ],
    "sendTask": ENVELOPE,
    "serviceTask": [_gear(), _circle(3)],
    "userTask": ["m-8 9v-4q0 -6 8 -6t8 6v4z", "m0 -5m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z"],
}

MARKERS: Final[Mapping[str, str]] = {
    "ad_hoc": "m-7 2.5q2.5 -6.5 7 -2.5t7 -2.5",
    "collapsed": "m-7 -7h14v14h-14zm7 3v8m-4 -4h8",
    "compensation": "m-8.5 0l8 -6v12zm8.5 0l8 -6v12z",
    "in_turn": "m-6 -5h12m-12 5h12m-12 5h12",
    "loop": "m-2.5 6.3a6.5 6.5 0 1 1 4.5 0.2m-8.5 -3.2l4 3l-4.4 2",
    "parallel": "m-5 -6v12m5 -12v12m5 -12v12",
}
"""What stands at an activity's lower edge: it undoes, repeats, or holds what isn't shown."""

GATEWAYS: Final[Mapping[str, str]] = {
    "complexGateway": "m0 -12v24m-12 -12h24m-20.5 -8.5l17 17m0 -17l-17 17",
    "exclusiveGateway": "m-7 -9l14 18m0 -18l-14 18",
    "parallelGateway": "m-11 0h22m-11 -11v22",
}

INCLUSIVE: Final = _circle(12)
EVENT_BASED: Final[Sequence[str]] = [_circle(15), _circle(12), _star(5, 8, 6.47)]


def draw_icon(
    group: Node, paths: Sequence[str], at: Point, paint: Paint, *, filled: bool = False
) -> None:
    """Append an icon; `filled` has its first path filled, and the others drawn on that."""
    for number, path in enumerate(paths):
        on_filled = filled and number > 0
        style: dict[str, Any] = {
            "fill": paint.line if filled and number == 0 else "none",
            "stroke": paint.fill if on_filled else paint.line,
            "stroke_linejoin": "round",
        }
        add(group, "path", d=f"M{at[0]:g} {at[1]:g}{path}", **style, **stroke(1.4))
