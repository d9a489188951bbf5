"""What the kit's own tests share: an order, and every step of place_order stubbed."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from sagaworks.testing import Zeebe

ORDER: dict[str, Any] = {
    "sku": "lamp",
    "quantity": 2,
    "amount": Decimal("39.80"),
    "card": "card-01",
    "address": "Main Street 1",
    "pay_within": "PT3H",
}

STEPS = (
    "orders.accept_order",
    "orders.reject_order",
    "orders.confirm_order",
    "inventory.hold_stock",
    "inventory.release_stock",
    "inventory.ship_stock",
    "payments.charge_card",
    "payments.refund_card",
    "shipping.book_shipment",
    "shipping.cancel_shipment",
)


@pytest.fixture
def stubbed(zeebe: Zeebe) -> Callable[..., None]:
    """Stub all of place_order's steps; keywords give scripts by element id."""

    def stub(**scripts: list[Any]) -> None:
        for job_type in STEPS:
            zeebe.stub(job_type, *scripts.get(job_type.partition(".")[2], []))

    return stub
