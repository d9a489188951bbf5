"""Every single death of a worker in every path that an order can take: one schedule each."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

from demo.carrier_stub import NOWHERE
from sagaworks.ledger.points import Point

R, B, CL, E, CO = Point.RECEIVED, Point.BEGIN, Point.CLAIMED, Point.EFFECT, Point.COMMIT
CALL, CALLED, CD, RP = Point.CALL, Point.CALLED, Point.COMMITTED, Point.REPORTED
MARKS: Final = (Point.MARK, Point.MARKED)

PASSED: Final = {
    "executed": (R, B, CL, E, CO, CD, RP, *MARKS),
    # A refusal is decided on twice: the first transaction is rolled back.
    "refused": (R, B, CL, B, CL, CO, CD, RP, *MARKS),
    # By a test's own no, after the effect: the pivot never refuses by itself.
    "withdrawn": (R, B, CL, E, B, CL, CO, CD, RP, *MARKS),
    "waits": (R, B, CL),
    "undone": (R, B, CL, E, CO, CD, RP),
    "called": (R, B, CO, CALL, CALLED, CO, CD, RP, *MARKS),
    "call undone": (R, B, CO, CALL, CALLED, CO, CD, RP),
}
"""The points that an execution passes, in this order."""


class Path(NamedTuple):
    """One way that an order can go.

    Attributes:
        changes: what of the order is different.
        executions: (step, what it comes to), in this order.
        end: the end event.
    """

    changes: dict[str, Any]
    executions: tuple[tuple[str, str], ...]
    end: str


_ACCEPT, _HOLD, _CHARGE = (
    ("accept_order", "executed"),
    ("hold_stock", "executed"),
    ("charge_card", "executed"),
)
_BOOK = ("book_shipment", "called")
_CANCEL = ("cancel_shipment", "call undone")
_REFUND, _RELEASE, _REJECT = (
    ("refund_card", "undone"),
    ("release_stock", "undone"),
    ("reject_order", "undone"),
)

ORDER: Final[dict[str, Any]] = {
    "sku": "lamp",
    "quantity": 2,
    "amount": Decimal("39.80"),
    "card": "card-01",
    "address": "Main Street 1",
}

NEVER_APPROVED: Final = "card-slow"
BROKE: Final = "card-broke"
SOLD_OUT: Final = "chandelier"
PATIENCE: Final = "PT8S"
"""How long the order waits for its holder: longer than a killed worker's job for the next one."""

PATHS: Final = {
    "ships": Path(
        {},
        (
            _ACCEPT,
            _HOLD,
            _CHARGE,
            _BOOK,
            ("confirm_order", "executed"),
            ("ship_stock", "executed"),
        ),
        "order_shipped",
    ),
    "nothing-ordered": Path({"quantity": 0}, (("accept_order", "refused"),), "order_undone"),
    "sold-out": Path(
        {"sku": SOLD_OUT}, (_ACCEPT, ("hold_stock", "refused"), _REJECT), "order_undone"
    ),
    "declined": Path(
        {"card": BROKE},
        (_ACCEPT, _HOLD, ("charge_card", "refused"), _RELEASE, _REJECT),
        "order_undone",
    ),
    "overdue": Path(
        {"card": NEVER_APPROVED, "pay_within": PATIENCE},
        (_ACCEPT, _HOLD, ("charge_card", "waits"), _RELEASE, _REJECT),
        "order_undone",
    ),
    "no-carrier": Path(
        {"address": NOWHERE},
        (_ACCEPT, _HOLD, _CHARGE, ("book_shipment", "called"), _REFUND, _RELEASE, _REJECT),
        "order_undone",
    ),
    "withdrawn": Path(
        {},
        (
            _ACCEPT,
            _HOLD,
            _CHARGE,
            _BOOK,
            ("confirm_order", "withdrawn"),
            _CANCEL,
            _REFUND,
            _RELEASE,
            _REJECT,
        ),
        "order_undone",
    ),
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """A worker's death.

    Attributes:
        path: the order's, by its name in `PATHS`.
        step: the step or compensation whose job it meets.
        point: where.
        time: 1 where the job gets there first, 2 where it gets there again.
    """

    path: str
    step: str
    point: Point
    time: int

    @property
    def name(self) -> str:
        """As a person writes it on a command line."""
        again = "-again" if self.time > 1 else ""
        return f"{self.path}/{self.step}/{self.point.replace(' ', '-')}{again}"


def _schedules() -> Iterator[Schedule]:
    for name, path in PATHS.items():
        for step, comes_to in path.executions:
            points = PASSED[comes_to]
            for place, point in enumerate(points):
                yield Schedule(name, step, point, 1 + points[:place].count(point))


SCHEDULES: Final = tuple(_schedules())


def key_of(schedule: Schedule, run: str, attempt: int) -> str:
    """Return the business key of the order that a schedule is tried on."""
    return f"{run}.{_plain(schedule.name)}.{attempt}"


@cache
def schedule_of(key: str) -> Schedule | None:
    """Return the schedule of an order; None for one that nothing is to happen to."""
    return _BY_KEY.get(key.partition(".")[2].rpartition(".")[0])


def _plain(name: str) -> str:
    """A partner is told the key in a header, where a slash would be written otherwise."""
    return name.replace("/", ".")


_BY_KEY: Final = {_plain(schedule.name): schedule for schedule in SCHEDULES}
