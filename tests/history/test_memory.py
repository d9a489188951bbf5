"""The contract on the history in memory."""

import pytest

from sagaworks.history import MemoryHistory
from tests.history.contract import RecordContract, Take


class TestInMemory(RecordContract):
    @pytest.fixture
    def history(self) -> MemoryHistory:
        return MemoryHistory()

    @pytest.fixture
    def take(self, history: MemoryHistory) -> Take:
        return lambda records: [history.take(one) for one in records]
