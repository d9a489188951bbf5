"""What a saga awaits from outside is given by whoever knows its business key."""

from datetime import timedelta

import pytest

from sagaworks import ContractError, EngineError
from sagaworks.awaited import complete_task, find_task, publish_message
from sagaworks.codec import UnencodableError
from sagaworks.runtime.gateway import PersonsTask
from sagaworks.saga import JobKey, SagaKey
from sagaworks.settings import Settings

NOBODY = Settings.load({"ZEEBE_ADDRESS": "127.0.0.1:1"})

CHOOSE = "choose_another_car"


def task(job: int, key: str = "trip-1", element: str = CHOOSE) -> PersonsTask:
    return PersonsTask(JobKey(job), element, SagaKey(7), key)


class Gateway:
    """Shows other tasks at each look, as the engine does that hides those just looked at."""

    def __init__(self, *looks: list[PersonsTask]) -> None:
        self.looks = list(looks)

    async def tasks_of_people(self) -> list[PersonsTask]:
        return self.looks.pop(0) if self.looks else []


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagaworks.awaited.LOOKS", timedelta(milliseconds=300))


@pytest.mark.anyio
async def test_a_sagas_own_task_is_found_among_all_that_wait() -> None:
    others = [task(1, "trip-2"), task(2, element="sign"), task(3, "trip-3")]

    assert await find_task(Gateway([*others, task(4)]), CHOOSE, "trip-1") == JobKey(4)


@pytest.mark.anyio
async def test_a_task_that_another_has_just_looked_at_is_found_a_moment_later() -> None:
    assert await find_task(Gateway([], [task(4)]), CHOOSE, "trip-1") == JobKey(4)


@pytest.mark.anyio
async def test_a_saga_that_waits_for_another_task_is_told_which() -> None:
    with pytest.raises(EngineError, match=r"trip-1 doesn't wait for choose.*at sign; see"):
        await find_task(Gateway([task(2, element="sign")]), CHOOSE, "trip-1")


@pytest.mark.anyio
async def test_a_saga_that_waits_for_nobody_is_told_so() -> None:
    with pytest.raises(EngineError, match="it waits for no person; see `sagaworks trail trip-1`"):
        await find_task(Gateway([task(1, "trip-2")]), CHOOSE, "trip-1")


@pytest.mark.anyio
async def test_of_several_at_once_none_is_completed() -> None:
    with pytest.raises(EngineError, match="trip-1 waits for 2 of choose_another_car at once"):
        await find_task(Gateway([task(1), task(2)]), CHOOSE, "trip-1")


@pytest.mark.parametrize("give", [publish_message, complete_task])
@pytest.mark.parametrize(
    "key, variables, error, words",
    [
        ("", {}, ContractError, "the business key is empty"),
        ("trip-1", {"saga_key": "trip-2"}, ContractError, "names that begin so are the library's"),
        ("trip-1", {"rate": float("nan")}, UnencodableError, "rate"),
    ],
)
def test_what_can_not_be_meant_is_refused_before_the_engine_is_asked(
    give, key: str, variables: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        give("room_confirmed", key=key, variables=variables, settings=NOBODY)


@pytest.mark.parametrize("give", [publish_message, complete_task])
def test_an_engine_that_is_away_is_one_line(give) -> None:
    with pytest.raises(EngineError, match=r"no engine answers at 127\.0\.0\.1:1"):
        give("room_confirmed", key="trip-1", variables={}, settings=NOBODY)
