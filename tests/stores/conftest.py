"""Each contract gets a world over the database that its class names."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite(
    "tests.stores.audit",
    "tests.stores.awaiting",
    "tests.stores.faults",
    "tests.stores.group",
    "tests.stores.line",
    "tests.stores.remote",
    "tests.stores.server",
    "tests.stores.settle",
    "tests.stores.steps",
    "tests.stores.undo",
)

from tests.stores.shop import fresh_carrier  # noqa: E402  their asserts are rewritten first
from tests.stores.world import World  # noqa: E402


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """A worker over an empty, migrated database."""
    fresh_carrier()
    world = World(database_url)
    yield world
    world.close()
