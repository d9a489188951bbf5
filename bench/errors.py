"""What stops the benchmark, in one line for people."""

from sagaworks import SagaworksError


class BenchError(SagaworksError):
    """It can't go on; the text says why and what to do."""
