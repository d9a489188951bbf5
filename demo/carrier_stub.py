"""A simulated carrier, standing in for another company's HTTP interface: nothing is delivered."""

from typing import Any, Final

from demo.partner_stub import Partner, Server, serve

__all__ = ["NOWHERE", "Carrier", "Server"]

NOWHERE: Final = "nowhere"
"""The address that the carrier refuses."""


class Carrier(Partner):
    """Books parcels, and fetches none of them."""

    thing = "parcel"

    def why_not(self, asked: dict[str, Any]) -> str | None:
        """Nobody lives nowhere."""
        return "nobody lives there" if asked.get("address") == NOWHERE else None


if __name__ == "__main__":
    serve(Carrier)
