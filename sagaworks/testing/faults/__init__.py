"""Faults between workers and the real engine, for tests of workers of any kind."""

from sagaworks.testing.faults.fault import Fault
from sagaworks.testing.faults.faults import Faults
from sagaworks.testing.faults.link import Link

__all__ = ["Fault", "Faults", "Link"]
