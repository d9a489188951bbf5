"""A step and its compensation: two plain functions, and what the library knows of them."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cached_property
from inspect import iscoroutinefunction
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    get_args,
    overload,
)

from pydantic import BaseModel
from sqlmodel import Session

from sagaworks.errors import ContractError, words_of
from sagaworks.saga import RESERVED_PREFIX, Saga
from sagaworks.signature import Signature, Variable, fact_of, read_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlmodel.ext.asyncio.session import AsyncSession

    from sagaworks.service import Service

P = ParamSpec("P")
F = TypeVar("F", bound=BaseModel | None)

Kind = Literal["compensatable", "pivot", "retriable", "read_only"]

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Task:
    """What a step and a compensation have in common: a name, a service, a job type."""

    remote: bool = False

    def __init__(self, service: Service, function: Callable[..., object]) -> None:
        """Read the function's signature; its name becomes the job type."""
        self.service = service
        self.name: str = checked_name(function.__name__, "a step")
        self.doc = (function.__doc__ or "").strip()
        self.signature: Signature = read_signature(function, self.job_type)
        self.is_async = self.signature.is_async
        self.__doc__ = function.__doc__
        self.__name__ = self.name
        self.__module__ = function.__module__
        self.__wrapped__ = function

    @property
    def job_type(self) -> str:
        """The Zeebe job type: ``inventory.hold_stock``."""
        return f"{self.service.name}.{self.name}"

    def __repr__(self) -> str:
        """Name the task as the diagram does."""
        return f"<{type(self).__name__} {self.job_type}>"


class Step(Task, Generic[P, F]):
    """A service task that changes a service's database; still callable as the plain function."""

    def __init__(  # noqa: PLR0913  what a declaration may say
        self,
        service: Service,
        function: Callable[P, F],
        *,
        kind: Kind = "compensatable",
        each: str | None = None,
        was: str | None = None,
        taken_over: bool = False,
    ) -> None:
        """See `Service.step`."""
        super().__init__(service, function)
        self.function = function
        self.kind: Kind = kind
        self.each = each
        self.was = was
        self.taken_over = taken_over
        self.fact = fact_of(self.signature, self.job_type)
        self.undo: Compensation[F] | None = None
        self._refuse_what_cannot_work()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> F:
        """Call the function itself, as a unit test does."""
        return self.function(*args, **kwargs)

    @property
    def variables(self) -> dict[str, Variable]:
        """The process variables the function asks for."""
        return self.signature.variables

    @cached_property
    def fact_variable(self) -> str | None:
        """The process variable that the fact is completed as: ``StockHeld`` -> ``stock_held``."""
        return "_".join(words_of(self.fact.__name__)) if self.fact else None

    @property
    def names(self) -> tuple[str, ...]:
        """The step's name and the one it had before, in the ledger."""
        return (self.name, self.was) if self.was else (self.name,)

    @overload
    def compensation(
        self,
        function: Callable[[AsyncSession, F], Coroutine[Any, Any, None]]
        | Callable[[AsyncSession, F, Saga], Coroutine[Any, Any, None]]
        | Callable[[AsyncSession, Saga], Coroutine[Any, Any, None]]
        | Callable[[AsyncSession], Coroutine[Any, Any, None]],
    ) -> AsyncCompensation[F]: ...

    @overload
    def compensation(
        self,
        function: Callable[[Session, F], None]
        | Callable[[Session, F, Saga], None]
        | Callable[[Session, Saga], None]
        | Callable[[Session], None],
    ) -> Compensation[F]: ...

    def compensation(self, function: Callable[..., Any]) -> Compensation[F]:
        """Declare what undoes this step, from the fact that it returned.

        Either of the two may be an ``async def`` where the other isn't.

        Raises:
            ContractError: the step can't be undone, is undone already, or returns another fact.
        """
        kind = AsyncCompensation if iscoroutinefunction(function) else Compensation
        undo = kind(self, function)
        self._undone_by(undo)
        return undo

    def _undone_by(self, undo: Compensation[F]) -> None:
        if self.undo is not None:
            raise ContractError(f"{self.job_type}: undone by {self.undo.name} already")
        if self.kind != "compensatable":
            raise ContractError(f"{self.job_type}: a {self.kind} step isn't undone")
        self.undo = undo
        self.service.keep_compensation(undo)

    def _refuse_what_cannot_work(self) -> None:
        if self.kind not in get_args(Kind):
            raise ContractError(f"{self.job_type}: kind={self.kind!r}; one of {get_args(Kind)}")
        if self.each is not None and self.each not in self.variables:
            raise ContractError(f"{self.job_type}: each={self.each!r} is no parameter of it")
        if self.fact_variable and self.fact_variable.startswith(RESERVED_PREFIX):
            raise ContractError(f"{self.job_type}: a fact can't be named {self.fact_variable}")
        self._refuse_session()

    def _refuse_session(self) -> None:
        if self.signature.session is None:
            kind = "AsyncSession" if self.is_async else "Session"
            message = f"takes no `session: {kind}`; what changes nothing here is a remote_step"
            raise ContractError(f"{self.job_type}: {message}")


class AsyncStep(Step[P, F]):
    """A step that is an ``async def``; still callable as the function itself."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, F]:  # type: ignore[override]  # what it returns is awaited
        """Call the function itself, as a unit test does."""
        return self.function(*args, **kwargs)  # type: ignore[return-value]  # it's a coroutine


class RemoteStep(Step[P, F]):
    """A step that calls something outside, which can't share the service's transaction."""

    remote = True
    recorder: Callable[[Session, F], None] | None = None
    remembers: timedelta | None = None

    @overload  # type: ignore[override]  # an undo of a remote step calls outside as well
    def compensation(
        self,
        function: Callable[[Saga, F], Coroutine[Any, Any, None]]
        | Callable[[F], Coroutine[Any, Any, None]],
    ) -> AsyncRemoteCompensation[F]: ...

    @overload
    def compensation(
        self, function: Callable[[Saga, F], None] | Callable[[F], None]
    ) -> RemoteCompensation[F]: ...

    def compensation(self, function: Callable[..., Any]) -> RemoteCompensation[F]:
        """Declare the call that undoes this one, from the fact that it returned."""
        kind = AsyncRemoteCompensation if iscoroutinefunction(function) else RemoteCompensation
        undo = kind(self, function)
        self._undone_by(undo)
        return undo

    def record(self, function: Callable[[Session, F], None]) -> Callable[[Session, F], None]:
        """Declare what the service's own database keeps, in the answer's transaction."""
        check_recorder(function, self.fact, self.job_type)
        self.recorder = function
        return function

    def _refuse_session(self) -> None:
        if self.signature.session is not None:
            message = "a remote_step has no session; keep its answer by `.record`"
            raise ContractError(f"{self.job_type}: {message}")


class AsyncRemoteStep(RemoteStep[P, F]):
    """A remote step that is an ``async def``; still callable as the function itself."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, F]:  # type: ignore[override]  # what it returns is awaited
        """Call the function itself, as a unit test does."""
        return self.function(*args, **kwargs)  # type: ignore[return-value]  # it's a coroutine


class Compensation(Task, Generic[F]):
    """What undoes a step; still callable as the plain function."""

    def __init__(self, step: Step[..., F], function: Callable[..., None]) -> None:
        """Pair `function` with the step it undoes."""
        super().__init__(step.service, function)
        self.function = function
        self.step = step
        self.fact_parameter = self._find_fact()
        self._refuse_what_cannot_work()

    def __call__(self, *args: object, **kwargs: object) -> None:
        """Call the function itself, as a unit test does."""
        self.function(*args, **kwargs)

    def _find_fact(self) -> str | None:
        names = list(self.signature.variables)
        if len(names) > 1:
            message = f"takes {', '.join(names)}; a compensation is given the step's fact only"
            raise ContractError(f"{self.job_type}: {message}")
        if not names:
            return None
        wanted = self.signature.variables[names[0]]
        if self.step.fact is None or wanted.annotation is not self.step.fact:
            returned = self.step.fact.__name__ if self.step.fact else "nothing"
            message = f"takes {wanted.type_name}, but {self.step.name} returns {returned}"
            raise ContractError(f"{self.job_type}: {message}")
        return names[0]

    def _refuse_what_cannot_work(self) -> None:
        if self.signature.returns is not None:
            raise ContractError(f"{self.job_type}: a compensation returns nothing")
        if self.remote == bool(self.signature.session):
            kind = "AsyncSession" if self.is_async else "Session"
            wanted = "no session" if self.remote else f"`session: {kind}`"
            raise ContractError(f"{self.job_type}: the undo of {self.step.name} takes {wanted}")


class AsyncCompensation(Compensation[F]):
    """What undoes a step and is an ``async def``."""

    def __call__(self, *args: object, **kwargs: object) -> Coroutine[Any, Any, None]:  # type: ignore[override]  # what it returns is awaited
        """Call the function itself, as a unit test does."""
        return self.function(*args, **kwargs)  # type: ignore[return-value]  # it's a coroutine


class RemoteCompensation(Compensation[F]):
    """The call that undoes a remote step."""

    remote = True
    recorder: Callable[[Session, F], None] | None = None

    def record(self, function: Callable[[Session, F], None]) -> Callable[[Session, F], None]:
        """Declare what the service's own database keeps of the undo, in the undo's transaction."""
        check_recorder(function, self.step.fact, self.job_type)
        self.recorder = function
        return function


class AsyncRemoteCompensation(RemoteCompensation[F]):
    """The call that undoes a remote step, as an ``async def``."""

    def __call__(self, *args: object, **kwargs: object) -> Coroutine[Any, Any, None]:  # type: ignore[override]  # what it returns is awaited
        """Call the function itself, as a unit test does."""
        return self.function(*args, **kwargs)  # type: ignore[return-value]  # it's a coroutine


def checked_name(name: str, what: str) -> str:
    """Return `name` where it fits a job type and an element id.

    Raises:
        ContractError: it doesn't.
    """
    if not NAME.fullmatch(name):
        raise ContractError(f"{what} is named {name!r}; names are snake_case, at most 63 long")
    return name


def check_recorder(
    function: Callable[..., object], fact: type[BaseModel] | None, job_type: str
) -> None:
    """Refuse a recorder that takes anything but a session and the fact."""
    signature = read_signature(function, f"{job_type} record")
    if signature.is_async:
        raise ContractError(f"{job_type}: record is a plain function, of an `async def` step too")
    kinds = [variable.annotation for variable in signature.variables.values()]
    if signature.session is None or kinds != [fact]:
        wanted = fact.__name__ if fact else "nothing: the step has no fact"
        raise ContractError(f"{job_type}: record takes a session and {wanted}")
