"""A service: a name, a database of its own, and the steps it carries out."""

from __future__ import annotations

from datetime import timedelta
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from pydantic import BaseModel

from sagaworks.codec import decode_text
from sagaworks.errors import ContractError
from sagaworks.step import (
    AsyncRemoteStep,
    AsyncStep,
    Compensation,
    Kind,
    RemoteStep,
    Step,
    Task,
    checked_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from sqlmodel import Session

P = ParamSpec("P")
F = TypeVar("F", bound=BaseModel | None)
R = TypeVar("R")


class DeclareStep(Protocol):
    """What ``@service.step(...)`` decorates with."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, F]], /) -> AsyncStep[P, F]: ...

    @overload
    def __call__(self, function: Callable[P, F], /) -> Step[P, F]: ...


class DeclareRemoteStep(Protocol):
    """What ``@service.remote_step(...)`` decorates with."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, F]], /
    ) -> AsyncRemoteStep[P, F]: ...

    @overload
    def __call__(self, function: Callable[P, F], /) -> RemoteStep[P, F]: ...


class Service:
    """The steps, compensations and readers of one service.

    Attributes:
        name: lower case; the prefix of its job types and of its settings.
        steps, compensations, queries: by function name.
    """

    def __init__(self, name: str) -> None:
        """Name the service.

        Raises:
            ContractError: the name doesn't fit a job type.
        """
        self.name = checked_name(name, "a service")
        self.steps: dict[str, Step[..., Any]] = {}
        self.compensations: dict[str, Compensation[Any]] = {}
        self.queries: dict[str, Query[..., Any]] = {}

    @overload
    def step(self, function: Callable[P, Coroutine[Any, Any, F]], /) -> AsyncStep[P, F]: ...

    @overload
    def step(self, function: Callable[P, F], /) -> Step[P, F]: ...

    @overload
    def step(
        self,
        /,
        *,
        kind: Kind = ...,
        each: str | None = ...,
        was: str | None = ...,
        taken_over: bool = ...,
    ) -> DeclareStep: ...

    def step(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        kind: Kind = "compensatable",
        each: str | None = None,
        was: str | None = None,
        taken_over: bool = False,
    ) -> Step[..., Any] | Callable[[Callable[..., Any]], Step[..., Any]]:
        """Declare a step: its effect and its ledger row are one transaction.

        Args:
            function: takes ``session: Session``, perhaps ``saga: Saga``, and process variables by
                name and type; returns its fact or None. An ``async def`` takes
                ``session: AsyncSession``, and needs the extra `async`.
            kind: ``compensatable`` (a compensation undoes it), ``pivot`` (after it the saga only
                goes forward), ``retriable`` (never refuses), ``read_only`` (not in the ledger).
            each: the parameter that tells the runs of a loop or multi-instance apart.
            was: the name the step had before, whose ledger rows are still its own.
            taken_over: other code, plain pyzeebe for example, carried the step out before, and
                sagas in flight may have effects of it that no row tells of. A compensation that
                finds no row then halts instead of completing. Remove it once those have ended.

        Raises:
            ContractError: the declaration can't work.
        """

        def declare(function: Callable[..., Any]) -> Step[..., Any]:
            made = AsyncStep if iscoroutinefunction(function) else Step
            step: Step[..., Any] = made(
                self, function, kind=kind, each=each, was=was, taken_over=taken_over
            )
            self._keep(step)
            return step

        return declare if function is None else declare(function)

    @overload
    def remote_step(
        self, function: Callable[P, Coroutine[Any, Any, F]], /
    ) -> AsyncRemoteStep[P, F]: ...

    @overload
    def remote_step(self, function: Callable[P, F], /) -> RemoteStep[P, F]: ...

    @overload
    def remote_step(
        self,
        /,
        *,
        kind: Kind = ...,
        each: str | None = ...,
        was: str | None = ...,
        taken_over: bool = ...,
        remembers: timedelta | None = ...,
    ) -> DeclareRemoteStep: ...

    def remote_step(  # noqa: PLR0913  what a declaration may say
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        kind: Kind = "compensatable",
        each: str | None = None,
        was: str | None = None,
        taken_over: bool = False,
        remembers: timedelta | None = None,
    ) -> RemoteStep[..., Any] | Callable[[Callable[..., Any]], RemoteStep[..., Any]]:
        """Declare a step that calls something outside.

        An intent is committed before the call. The call is repeated with the same
        `Saga.idempotency_key` until it is answered, so the partner must remember keys.

        Args:
            function: takes process variables by name and type, perhaps ``saga: Saga``; an
                ``async def`` needs the extra `async`.
            kind, each, was, taken_over: see `step`.
            remembers: for how long the partner knows a key; past that no call is repeated, a person
                is called. None: for as long as a saga may live.
        """

        def declare(function: Callable[..., Any]) -> RemoteStep[..., Any]:
            made = AsyncRemoteStep if iscoroutinefunction(function) else RemoteStep
            step: RemoteStep[..., Any] = made(
                self, function, kind=kind, each=each, was=was, taken_over=taken_over
            )
            step.remembers = remembers
            self._keep(step)
            return step

        return declare if function is None else declare(function)

    def query(self, function: Callable[P, R], /) -> Query[P, R]:
        """Declare a reader, served at ``GET /queries/<name>`` of the worker's management port."""
        query = Query(self, function)
        if query.name in self.queries:
            raise ContractError(f"{query.job_type}: declared twice")
        self.queries[query.name] = query
        return query

    def keep_compensation(self, undo: Compensation[Any]) -> None:
        """Take in a compensation that one of the steps declared."""
        self._refuse_double(undo)
        self.compensations[undo.name] = undo

    def task_of(self, job_type: str) -> Step[..., Any] | Compensation[Any] | None:
        """Return the step or compensation of a job type, or None."""
        name = job_type.removeprefix(f"{self.name}.")
        return self.steps.get(name) or self.compensations.get(name)

    def _keep(self, step: Step[..., Any]) -> None:
        self._refuse_double(step)
        self._refuse_shared_rows(step)
        self.steps[step.name] = step

    def _refuse_shared_rows(self, step: Step[..., Any]) -> None:
        for other in (step, *self.steps.values()):
            if other.was is not None and other.was in (step.name, *self.steps):
                message = f"was={other.was!r} is the name of a step, whose ledger rows are its own"
                raise ContractError(f"{other.job_type}: {message}")

    def _refuse_double(self, task: Task) -> None:
        if task.name in self.steps or task.name in self.compensations:
            raise ContractError(f"{task.job_type}: declared twice")

    def __repr__(self) -> str:
        """Name the service."""
        return f"<Service {self.name}>"


class Query(Task, Generic[P, R]):
    """A reader of the service's own database; still callable as the plain function."""

    def __init__(self, service: Service, function: Callable[P, R]) -> None:
        """See `Service.query`."""
        super().__init__(service, function)
        self.function = function
        if self.is_async:
            raise ContractError(f"{self.job_type}: is async; a query is a plain function")
        if self.signature.session is None or self.signature.saga is not None:
            raise ContractError(f"{self.job_type}: a query takes `session: Session` and parameters")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        return self.function(*args, **kwargs)

    def answer(self, session: Session, parameters: Mapping[str, str]) -> R:
        """Answer with parameters as a URL has them: text, read by the declared types.

        Raises:
            ContractError: a parameter is missing, or isn't one of the query's.
            UnreadableError: a parameter is of another type.
        """
        unknown = ", ".join(sorted(set(parameters) - set(self.signature.variables)))
        if unknown:
            raise ContractError(f"{self.job_type}: no parameter is named {unknown}")
        given: dict[str, object] = {str(self.signature.session): session}
        for name, variable in self.signature.variables.items():
            if name in parameters:
                given[name] = decode_text(variable.annotation, parameters[name], place=name)
            elif variable.required:
                raise ContractError(f"{self.job_type}: parameter `{name}` is missing")
        return self.function(**given)  # type: ignore[call-arg,arg-type]  # named by the signature
