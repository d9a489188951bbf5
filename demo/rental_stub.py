"""A simulated rental company, standing in for another company's HTTP interface: it has no cars."""

from typing import Any, Final

from demo.partner_stub import Partner, Server, serve

__all__ = ["ALWAYS_OUT", "RentalCompany", "Server"]

ALWAYS_OUT: Final = "convertible"
"""The class of car that the company never has."""


class RentalCompany(Partner):
    """Books rentals, and hands over none of them."""

    thing = "rental"

    def why_not(self, asked: dict[str, Any]) -> str | None:
        """Every convertible is out."""
        return "none of that class is left" if asked.get("car_class") == ALWAYS_OUT else None


if __name__ == "__main__":
    serve(RentalCompany)
