"""What a function's signature asks for: a session, the saga, a fact, process variables."""

import inspect
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import BaseModel
from sqlalchemy.orm import Session

from sagaworks.codec import readable
from sagaworks.errors import ContractError
from sagaworks.saga import RESERVED_PREFIX, Saga


@dataclass(frozen=True, slots=True)
class Variable:
    """One process variable that a function asks for, by its parameter's name and type."""

    name: str
    annotation: object
    required: bool

    @property
    def type_name(self) -> str:
        """The type as its author wrote it, without what only narrows it."""
        plain = self.annotation
        if typing.get_origin(plain) is typing.Annotated:
            plain = typing.get_args(plain)[0]
        return getattr(plain, "__name__", None) or str(plain)


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a function sorted by what gives them, and what it returns.

    Attributes:
        session: the name of the parameter annotated `Session`, or None.
        saga: the name of the parameter annotated `Saga`, or None.
        variables: all other parameters.
        is_async: it's an `async def`, and its session an `AsyncSession`.
        returns: the return annotation; None stands for nothing.
    """

    session: str | None
    saga: str | None
    variables: dict[str, Variable] = field(default_factory=dict)
    returns: object = None
    is_async: bool = False


def read_signature(function: Callable[..., object], what: str) -> Signature:
    """Return the signature of `function`, also where its module defers annotations.

    Raises:
        ContractError: naming `what`, a parameter and the remedy.
    """
    is_async = inspect.iscoroutinefunction(function)
    hints = _hints(function, what)
    session = saga = None
    variables = {}
    for name, parameter in inspect.signature(function).parameters.items():
        annotation = _annotation(hints, parameter, what)
        if _is_session(annotation, what, is_async=is_async):
            session = _only(name, session, what)
        elif annotation is Saga:
            saga = _only(name, saga, what)
        else:
            variables[name] = _variable(parameter, annotation, what)
    returns = hints.get("return", types.NoneType)
    fact = None if returns is types.NoneType else returns
    return Signature(session, saga, variables, fact, is_async)


def fact_of(signature: Signature, what: str) -> type[BaseModel] | None:
    """Return the fact's model, or None for a step that returns nothing.

    Raises:
        ContractError: the return annotation is neither a model nor None, or is a table.
    """
    fact = signature.returns
    if fact is None:
        return None
    if not (isinstance(fact, type) and issubclass(fact, BaseModel)):
        raise ContractError(f"{what}: returns {fact}; a fact is a SQLModel or pydantic model")
    if getattr(fact, "__table__", None) is not None:
        raise ContractError(f"{what}: returns the table {fact.__name__}; a fact is a plain model")
    return fact


def _is_session(annotation: object, what: str, *, is_async: bool) -> bool:
    if not isinstance(annotation, type):
        return False
    # Whoever names that class has imported it; a service without it needn't.
    awaiting = getattr(sys.modules.get("sqlalchemy.ext.asyncio"), "AsyncSession", None)
    plain = issubclass(annotation, Session)
    awaits = awaiting is not None and issubclass(annotation, awaiting)
    if plain and is_async:
        raise ContractError(f"{what}: an `async def` takes `AsyncSession`, not `Session`")
    if awaits and not is_async:
        raise ContractError(f"{what}: takes `AsyncSession`; declare it `async def`")
    return plain or awaits


def _hints(function: Callable[..., object], what: str) -> dict[str, object]:
    try:
        return typing.get_type_hints(function, localns=_locals_of_the_author(), include_extras=True)
    except NameError as error:
        message = f"{what}: annotation `{error.name}` is unknown when the module runs; import it"
        raise ContractError(f"{message} outside `if TYPE_CHECKING`") from None


def _locals_of_the_author() -> dict[str, object]:
    """Names around the decorated function: models declared inside a test function are found too."""
    frame = inspect.currentframe()
    while frame and frame.f_globals.get("__name__", "").startswith("sagaworks."):
        frame = frame.f_back
    return dict(frame.f_locals) if frame else {}


def _only(name: str, before: str | None, what: str) -> str:
    if before is not None:
        raise ContractError(f"{what}: `{before}` and `{name}` ask for the same; take one of them")
    return name


def _annotation(hints: dict[str, object], parameter: inspect.Parameter, what: str) -> object:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise ContractError(f"{what}: `{parameter}`; each variable needs a parameter of its own")
    if parameter.name not in hints:
        raise ContractError(f"{what}: parameter `{parameter.name}` has no type; annotate it")
    return hints[parameter.name]


def _variable(parameter: inspect.Parameter, annotation: object, what: str) -> Variable:
    if parameter.name.startswith(RESERVED_PREFIX):
        message = f"{what}: `{parameter.name}` is the library's; take a `Saga` parameter instead"
        raise ContractError(message)
    if not readable(annotation):
        raise ContractError(f"{what}: `{parameter.name}: {annotation}` can't be read from JSON")
    return Variable(parameter.name, annotation, required=parameter.default is parameter.empty)
