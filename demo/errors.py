"""What stops the demo, in one line for people."""

from sagaworks import SagaworksError


class DemoError(SagaworksError):
    """The demo can't go on; the text says why and what to do."""


class StuckError(DemoError):
    """Orders don't come to an end; the text names some of them and where they are."""
