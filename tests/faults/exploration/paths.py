"""The ways that an order can take through place_order, and the world that sends it there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from demo.carrier_stub import NOWHERE


@dataclass(frozen=True)
class Path:
    """One way.

    Attributes:
        ends: the end event that the order reaches.
        order: what differs in it from an order that is shipped.
        available: how many units are on the shelf.
        balance: what is on the card.
        needs_approval: the card's holder is asked, and says yes once the step has asked again.
        overdue: the holder says nothing until the timer fires.
        recalled: a person throws an error at confirm_order's job before a worker has it.
        pauses: how often the step itself asks for another try.
    """

    ends: str = "order_undone"
    order: Mapping[str, Any] = field(default_factory=dict)
    available: int = 10
    balance: int = 100
    needs_approval: bool = False
    overdue: bool = False
    recalled: bool = False
    pauses: int = 0

    @property
    def is_done(self) -> bool:
        """Whether the order ends fully done, not fully undone."""
        return self.ends == "order_shipped"


PATHS: Final = {
    "shipped": Path(ends="order_shipped"),
    "approved": Path(ends="order_shipped", needs_approval=True, pauses=1),
    "nothing_ordered": Path(order={"quantity": 0}),
    "out_of_stock": Path(available=1),
    "declined": Path(balance=1),
    "overdue": Path(needs_approval=True, overdue=True, pauses=1),
    "no_carrier": Path(order={"address": NOWHERE}),
    "recalled": Path(recalled=True),
}
