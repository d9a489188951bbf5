"""The states of an element in a saga, and their colours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

State = Literal[
    "done",
    "undone",
    "refused",
    "taken_away",
    "waiting",
    "stuck",
    "in_doubt",
    "covered",
    "partly",
    "missed",
]
"""The last three say what a test run has gone through; the others are of one saga."""

INK: Final = "#22242a"


@dataclass(frozen=True, slots=True)
class Paint:
    """The two colours of a state: of what is filled and of what is drawn.

    Attributes:
        dashes: of a flow, as SVG's ``stroke-dasharray``, for who doesn't see colours.
    """

    fill: str
    line: str
    dashes: str | None = None


PLAIN: Final = Paint("#ffffff", INK)
PAINTS: Final[Mapping[State, Paint]] = {
    "done": Paint("#d9f2df", "#1a7f37"),
    "undone": Paint("#fff0c7", "#a85b00"),
    "refused": Paint("#ffdcd8", "#c0181f"),
    "taken_away": Paint("#e9ebef", "#59606d", dashes="7 5"),
    "waiting": Paint("#d8e8ff", "#0a58b8"),
    "stuck": Paint("#ffd9ef", "#b0126b"),
    "in_doubt": Paint("#ecdcff", "#7a32c8"),
    "covered": Paint("#d9f2df", "#1a7f37"),
    "partly": Paint("#fff0c7", "#a85b00"),
    "missed": Paint("#ffdcd8", "#c0181f", dashes="7 5"),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """What is painted on one element, or on one flow.

    Attributes:
        label: a few letters at its corner.
    """

    state: State
    label: str | None = None


MEANINGS: Final[Mapping[State, str]] = {
    "done": "done",
    "undone": "undone",
    "refused": "refused",
    "taken_away": "taken away",
    "waiting": "waiting",
    "stuck": "stuck: an incident",
    "in_doubt": "in doubt",
}
"""What the colours of a saga's way say."""

Marks = Mapping[str, Mark]
