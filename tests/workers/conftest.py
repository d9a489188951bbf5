"""An empty database in memory: all that a step needs to be tested."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session, SQLModel, create_engine

from sagaworks import Saga
from sagaworks.saga import SagaKey

SagaMaker = Callable[..., Saga]


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def a_saga() -> SagaMaker:
    saga = Saga(
        key=SagaKey(1),
        business_key="order-42",
        attempt=1,
        deadline=datetime.now(UTC) + timedelta(seconds=15),
        idempotency_key="the-key-of-this-call",
    )
    return lambda **changes: replace(saga, **changes)
