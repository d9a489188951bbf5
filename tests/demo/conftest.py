"""For tests of the demo: whoever runs its commands in this process is given its signals back."""

import signal
from collections.abc import Iterator

import pytest

from demo.interrupts import SIGNALS


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    """The demo takes them over for as long as its process lives."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
