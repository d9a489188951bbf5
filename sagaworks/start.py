"""Starting a saga: one saga for each business key, for ever, however often the start is repeated.

The service of the saga's first step decides, by the saga row in its own database: the key is
reserved there, the instance is created, and its key is bound to the row. The first step's job
binds it too, so a reply that got lost is found out.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, ParamSpec, Self, TypeVar

from loguru import logger
from sqlalchemy import ColumnElement, Connection, delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from sagaworks.codec import Json, to_json
from sagaworks.errors import ContractError, EngineError, SagaworksError
from sagaworks.ledger.faults import CommitUnknownError, is_broken_world, reason_of
from sagaworks.ledger.statements import SagaRow, lock_saga
from sagaworks.ledger.store import Store
from sagaworks.ledger.tables import age_of, saga, utc_now
from sagaworks.project import Project
from sagaworks.runtime.backoff import Backoff
from sagaworks.runtime.deliveries import digest, why_not_a_key
from sagaworks.runtime.gateway import (
    EngineBusyError,
    EngineUnreachableError,
    Gateway,
    connect,
)
from sagaworks.saga import DIGEST_VARIABLE, KEY_VARIABLE, RESERVED_PREFIX, SagaKey
from sagaworks.service import Service
from sagaworks.settings import Settings

Asked = ParamSpec("Asked")
Found = TypeVar("Found")

_LEASE: Final = 15.0
"""Seconds after which a reservation without an instance counts as left by a starter that died."""

_LOST_REPLY: Final = 3.0
"""Seconds to wait for the first step to bind an instance whose reply got lost."""


class OtherVariablesError(SagaworksError):
    """The business key belongs to a saga that was started with other variables."""


@dataclass(frozen=True, slots=True)
class Started:
    """A saga that is running, or has run.

    Attributes:
        process_instance: the engine's key.
        business_key: as given.
        new: False where the saga was there already.
    """

    process_instance: SagaKey
    business_key: str
    new: bool


@dataclass(frozen=True, slots=True)
class _Order:
    process_id: str
    key: str
    variables: Mapping[str, object]
    digest: str


class Starter:
    """Starts sagas over one channel, for the service of their first step.

    ``async with Starter(service, settings) as starter: await starter.start(…)``
    """

    def __init__(self, service: Service, settings: Settings | None = None) -> None:
        """Open nothing yet."""
        self._settings = settings or Settings.load(project=Project.load())
        self._service = service.name
        self._store = Store(self._settings.database_url(service.name))
        self._stack = AsyncExitStack()
        self._gateway: Gateway | None = None

    async def __aenter__(self) -> Self:
        """Check the database; open the channel.

        Raises:
            ConfigurationError: the database isn't there or isn't migrated.
        """
        await asyncio.to_thread(self._store.check_version, self._service)
        self._gateway = await self._stack.enter_async_context(connect(self._settings))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the channel and the database."""
        await self._stack.aclose()
        self._store.close()

    async def start(self, process_id: str, *, key: str, variables: Mapping[str, object]) -> Started:
        """Start the saga, or return the one this key has already.

        Args:
            process_id: the diagram's process id, which is the saga's name.
            key: the business key, for example an order number.
            variables: what the saga starts with; Decimal, UUID, dates and models are fine.

        Raises:
            OtherVariablesError: the key has a saga that was started with other variables.
            UnencodableError: a variable has no JSON form.
            ContractError: the key is unusable, or a variable's name is the library's.
            EngineError: the engine's reason; the key is free again where nothing was created.
            SagaworksError: the database can't work now, its reason; a repeated start goes on.
        """
        order = _checked(process_id, key, variables)
        waiting = Backoff(0.1, 1.0)
        while True:
            row = await self._in_database(self._reserve, order)
            _refuse_other_variables(row, order)
            if row.process_instance is not None:
                return Started(row.process_instance, key, new=False)
            if row.is_new or await self._in_database(self._take_over, order):
                return await self._create(order, is_first=row.is_new)
            # Another starter holds the key; it binds an instance soon, or its lease runs out.
            await asyncio.sleep(waiting.next())

    async def _create(self, order: _Order, *, is_first: bool) -> Started:
        assert self._gateway is not None  # noqa: S101  set by __aenter__
        own = {KEY_VARIABLE: order.key, DIGEST_VARIABLE: order.digest}
        plain = {name: to_json(value, place=name) for name, value in order.variables.items()}
        try:
            created = await self._create_once(order, {**plain, **own})
        except EngineUnreachableError:
            # There may be an instance: the reservation stays, a repeated start goes on from it.
            raise
        except EngineError:
            # A reservation taken over stays: its first starter may have made an instance.
            if is_first:
                await self._in_database(self._release, order)
            raise
        bound = await self._in_database(self._bind, order, created)
        if bound != created:
            await self._cancel(created, order)
        return Started(bound, order.key, new=bound == created)

    async def _cancel(self, created: SagaKey, order: _Order) -> None:
        """Take back an instance that lost the race; its first step halts it if that fails."""
        assert self._gateway is not None  # noqa: S101  set by __aenter__
        try:
            await self._gateway.cancel(created)
        except EngineError as error:
            logger.warning("{} is a second instance of {}: {}", created, order.key, error)

    async def _create_once(self, order: _Order, variables: Mapping[str, Json]) -> SagaKey:
        assert self._gateway is not None  # noqa: S101  set by __aenter__
        pause = Backoff(0.02, 1.0)
        while True:
            try:
                return await self._gateway.create(order.process_id, variables)
            except EngineBusyError:
                await asyncio.sleep(pause.next())
            except EngineUnreachableError:
                bound = await self._bound_by_first_step(order)
                if bound is None:
                    raise
                return bound

    async def _bound_by_first_step(self, order: _Order) -> SagaKey | None:
        """Find an instance whose reply got lost: its first step's job binds it to the row."""
        waiting = Backoff(0.1, 0.5)
        try:
            async with asyncio.timeout(_LOST_REPLY):
                # The database can't wake us: it's asked, with growing pauses.
                while (found := await self._in_database(self._instance, order)) is None:  # noqa: ASYNC110
                    await asyncio.sleep(waiting.next())
        except TimeoutError:
            return None
        return found

    async def _in_database(
        self, work: Callable[Asked, Found], *args: Asked.args, **kwargs: Asked.kwargs
    ) -> Found:
        """Run `work` on a thread; a database that is locked, full or away is one line."""
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except (SQLAlchemyError, CommitUnknownError) as error:
            if not (is_broken_world(error) or isinstance(error, CommitUnknownError)):
                raise
            message = f"{self._store.name}: {reason_of(error)}"
            raise SagaworksError(f"{message}; start it again, the key makes that safe") from error

    def _reserve(self, order: _Order) -> SagaRow:
        with self._store.writing() as connection:
            return lock_saga(
                connection,
                self._settings.tenant,
                order.key,
                process_id=order.process_id,
                start_digest=order.digest,
            )

    def _take_over(self, order: _Order) -> bool:
        """Take a reservation whose starter has died; the database's clock tells its age."""
        left = age_of(saga.c.starting_at) > _LEASE
        change = update(saga).where(*self._unbound(order), left)
        with self._store.writing() as connection:
            taken = change.values(starting_at=utc_now()).returning(saga.c.saga_key)
            return bool(connection.execute(taken).all())

    def _release(self, order: _Order) -> None:
        with self._store.writing() as connection:
            connection.execute(delete(saga).where(*self._unbound(order)))

    def _bind(self, order: _Order, created: SagaKey) -> SagaKey:
        # An upsert: a starter that was refused after its lease had ended has deleted the row.
        with self._store.writing() as connection:
            row = lock_saga(
                connection,
                self._settings.tenant,
                order.key,
                process_id=order.process_id,
                process_instance=created,
                start_digest=order.digest,
            )
        return created if row.process_instance is None else row.process_instance

    def _instance(self, order: _Order) -> SagaKey | None:
        with self._store.reading() as connection:
            return _instance_of(connection, *self._ours(order))

    def _ours(self, order: _Order) -> tuple[ColumnElement[bool], ...]:
        return (saga.c.tenant == self._settings.tenant, saga.c.saga_key == order.key)

    def _unbound(self, order: _Order) -> tuple[ColumnElement[bool], ...]:
        return (*self._ours(order), saga.c.process_instance.is_(None))


def start_saga(
    service: Service,
    process_id: str,
    *,
    key: str,
    variables: Mapping[str, object],
    settings: Settings | None = None,
) -> Started:
    """Start one saga and return; `Starter` is for many, or from inside an event loop.

    Raises:
        As `Starter.start`.
    """

    async def start() -> Started:
        async with Starter(service, settings) as starter:
            return await starter.start(process_id, key=key, variables=variables)

    return asyncio.run(start())


def _checked(process_id: str, key: str, variables: Mapping[str, object]) -> _Order:
    why_not = why_not_a_key(key)
    if why_not:
        raise ContractError(f"the business key {why_not}")
    for name in variables:
        if name.startswith(RESERVED_PREFIX):
            raise ContractError(f"variable `{name}`: names that begin so are the library's")
    whole = {"process_id": process_id, "variables": variables}
    return _Order(process_id, key, variables, digest(whole))


def _refuse_other_variables(row: SagaRow, order: _Order) -> None:
    if row.start_digest in (None, order.digest):
        return
    raise OtherVariablesError(
        f"{order.key} was started with other variables: digest {row.start_digest} then,"
        f" {order.digest} now; a saga's key is its own for ever, take another"
    )


def _instance_of(connection: Connection, *ours: ColumnElement[bool]) -> SagaKey | None:
    found = connection.execute(select(saga.c.process_instance).where(*ours)).scalar()
    return None if found is None else SagaKey(found)
