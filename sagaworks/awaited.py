"""What a saga awaits from outside: a message, or what a person does."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from sagaworks.codec import Json, to_json
from sagaworks.errors import ContractError, EngineError
from sagaworks.project import Project
from sagaworks.runtime.backoff import Backoff
from sagaworks.runtime.deliveries import why_not_a_key
from sagaworks.runtime.gateway import HOUR, LOOKED_AT, Gateway, PersonsTask, connect
from sagaworks.saga import RESERVED_PREFIX, JobKey
from sagaworks.settings import Settings

LOOKS: Final = 2 * LOOKED_AT
"""How long a task is looked for: others who look at the same moment hide it for half of it."""


def publish_message(
    name: str,
    *,
    key: str,
    variables: Mapping[str, object],
    lasts: timedelta = HOUR,
    settings: Settings | None = None,
) -> None:
    """Publish a message for the saga of a business key; its diagram correlates by ``saga_key``.

    Args:
        name: the message's, in the diagram.
        key: the saga's business key.
        variables: what the saga learns by it.
        lasts: how long the engine keeps it for a saga that doesn't await it yet.

    Raises:
        ContractError: the key is unusable, or a variable's name is the library's.
        UnencodableError: a variable has no JSON form.
        EngineUnreachableError: nobody answered; it may have been published.
        EngineError: the engine's reason.
    """
    plain = _checked(key, variables)

    async def publish() -> None:
        async with connect(settings or Settings.load(project=Project.load())) as gateway:
            await gateway.publish(name, key, plain, lasts=lasts)

    asyncio.run(publish())


def complete_task(
    task: str,
    *,
    key: str,
    variables: Mapping[str, object],
    settings: Settings | None = None,
) -> None:
    """Complete what a saga waits for a person to do, with what the person has decided.

    Args:
        task: the user task's id in the diagram; it's a task that is a job.
        key: the saga's business key.
        variables: what the saga learns by it.

    Raises:
        ContractError: the key is unusable, or a variable's name is the library's.
        UnencodableError: a variable has no JSON form.
        EngineError: the saga doesn't wait for it, or the engine's reason.
    """
    plain = _checked(key, variables)

    async def complete() -> None:
        async with connect(settings or Settings.load(project=Project.load())) as gateway:
            await gateway.complete(await find_task(gateway, task, key), plain)

    asyncio.run(complete())


async def find_task(gateway: Gateway, task: str, key: str) -> JobKey:
    """Return the job of a saga's user task.

    Raises:
        EngineError: the saga doesn't wait for it, or for several of it at once.
    """
    seen: dict[JobKey, PersonsTask] = {}
    pause = Backoff(0.1, 0.5)
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOKS.total_seconds()):
            while not _jobs_of(seen.values(), task, key):
                seen |= {one.job: one for one in await gateway.tasks_of_people()}
                await asyncio.sleep(pause.next())
    return _the_one(seen.values(), task, key)


def _jobs_of(seen: Iterable[PersonsTask], task: str, key: str) -> list[JobKey]:
    return [one.job for one in seen if (one.element, one.business_key) == (task, key)]


def _the_one(seen: Iterable[PersonsTask], task: str, key: str) -> JobKey:
    found = _jobs_of(seen, task, key)
    if len(found) == 1:
        return found[0]
    if found:
        raise EngineError(f"{key} waits for {len(found)} of {task} at once; use Tasklist for one")
    others = sorted({one.element for one in seen if one.business_key == key})
    waits = f"it waits for a person at {', '.join(others)}" if others else "it waits for no person"
    raise EngineError(f"{key} doesn't wait for {task}: {waits}; see `sagaworks trail {key}`")


def _checked(key: str, variables: Mapping[str, object]) -> dict[str, Json]:
    if why_not := why_not_a_key(key):
        raise ContractError(f"the business key {why_not}")
    for name in variables:
        if name.startswith(RESERVED_PREFIX):
            raise ContractError(f"variable `{name}`: names that begin so are the library's")
    return {name: to_json(value, place=name) for name, value in variables.items()}
