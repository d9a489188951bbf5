"""The states of an element in a saga, and their colours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["done", "undone", "refused", "waiting", "in_doubt", "covered", "partly", "missed"]
"""The first five are a saga's; the last three say what a test run has gone through."""

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
    "waiting": Paint("#d8e8ff", "#0a58b8"),
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


Marks = Mapping[str, Mark]
