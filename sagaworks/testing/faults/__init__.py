"""Faults between workers and the real engine, for tests of workers of any kind."""

from sagaworks.ledger.points import Point
from sagaworks.testing.faults.fault import Fault
from sagaworks.testing.faults.faults import Faults
from sagaworks.testing.faults.link import Link
from sagaworks.testing.faults.mortal import Mortal
from sagaworks.testing.faults.whatever import whatever_breaks

__all__ = ["Fault", "Faults", "Link", "Mortal", "Point", "whatever_breaks"]
