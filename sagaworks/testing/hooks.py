"""The plugin's hooks, for what builds on it: coverage of diagrams, for example."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from sagaworks.testing.zeebe import Zeebe


def pytest_zeebe_finished(zeebe: Zeebe, item: pytest.Item) -> None:
    """A test has ended that had the fixture `zeebe`; its engine still answers.

    Args:
        zeebe: `zeebe.history` has what its sagas did, `zeebe.feed.diagrams` the deployed XML.
        item: the test.
    """
