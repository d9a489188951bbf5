"""Calling a step's or a compensation's function with what its signature asks for."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any

from sqlmodel import Session

from sagaworks.codec import Json, UnencodableError, UnreadableError, decode, decode_bytes, encode
from sagaworks.errors import Halt, Refusal
from sagaworks.ledger.rows import Arrival, Entry
from sagaworks.saga import Saga
from sagaworks.signature import Variable
from sagaworks.step import Compensation, Step


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a job: where it belongs, what it carries.

    Attributes:
        saga: given to the function; its idempotency key is filled in by the ledger.
        variables: the fetched process variables, as JSON data.
        took: told the seconds that the function took, on the thread that ran it.
    """

    arrival: Arrival
    saga: Saga
    variables: Mapping[str, Json]
    took: Callable[[float], None] = lambda _seconds: None


def call_step(
    step: Step[..., Any], delivery: Delivery, round_: int, session: Session | None
) -> bytes | None:
    """Call the step; return its fact as bytes, encoded before anything commits.

    Raises:
        Halt: a variable is missing or of another type, or the fact can't be encoded.
        Refusal, Retry, Halt: as the step raises them.
    """
    arguments: dict[str, object] = read_variables(step, delivery.variables)
    if step.signature.saga:
        arguments[step.signature.saga] = with_key(delivery, idempotency_key(delivery, step, round_))
    if step.signature.session:
        arguments[step.signature.session] = session
    return encode_fact(step, _called(step, delivery, arguments, session))


def call_compensation(
    undo: Compensation[Any],
    delivery: Delivery,
    round_: int,
    fact: bytes | None,
    session: Session | None,
) -> None:
    """Call the compensation with the stored fact.

    Raises:
        Halt: the fact can't be read any more.
        Retry, Halt: as the compensation raises them.
    """
    arguments: dict[str, object] = {}
    if undo.fact_parameter:
        arguments[undo.fact_parameter] = read_fact(undo.step, fact)
    if undo.signature.saga:
        key = f"{idempotency_key(delivery, undo.step, round_)}/undo"
        arguments[undo.signature.saga] = with_key(delivery, key)
    if undo.signature.session:
        arguments[undo.signature.session] = session
    _called(undo, delivery, arguments, session)


def read_variables(step: Step[..., Any], variables: Mapping[str, Json]) -> dict[str, Any]:
    """Return the step's variables by its declared types.

    Raises:
        Halt: naming the variable, its type and what is wrong; never its value.
    """
    values = {}
    for name, variable in step.variables.items():
        if name not in variables:
            if variable.required:
                raise Halt(f"{_need(step, variable)}: it is missing")
            continue
        try:
            values[name] = decode(variable.annotation, variables[name])
        except UnreadableError as error:
            raise Halt(f"{_need(step, variable)}: {error}") from None
    return values


def read_fact(step: Step[..., Any], fact: bytes | None) -> object:
    """Return a stored fact as its model.

    Raises:
        Halt: an older version wrote it and this one can't read it.
    """
    if step.fact is None:
        return None
    try:
        # A row from before the step had a fact holds nothing, which isn't JSON either.
        return decode_bytes(step.fact, fact or b"", place=f"the fact of {step.job_type}")
    except UnreadableError as error:
        raise Halt(str(error)) from None


def encode_fact(step: Step[..., Any], fact: object) -> bytes | None:
    """Return what a step returned as bytes.

    Raises:
        Halt: it isn't the declared fact, or has no JSON form, or is too large, or couldn't be read
            back: better now, with nothing committed, than when it's to be undone.
    """
    if not isinstance(fact, step.fact or NoneType):
        declared = step.fact.__name__ if step.fact else "nothing"
        raise Halt(f"{step.job_type} returned {type(fact).__name__}, its signature says {declared}")
    if step.fact is None:
        return None
    place = f"the fact of {step.job_type}"
    try:
        encoded = encode(fact, place=place)
        decode_bytes(step.fact, encoded, place=f"{place} can't be read back")
    except (UnencodableError, UnreadableError) as error:
        raise Halt(str(error)) from None
    return encoded


def idempotency_key(delivery: Delivery, step: Step[..., Any], round_: int) -> str:
    """Return the key of one execution: tenant, saga, step, each and round, in one line.

    The step's name is the arrival's, which is the row's: a renamed step keeps its partner's keys.
    """
    arrival = delivery.arrival
    name = f"{step.service.name}.{arrival.step}"
    parts = (arrival.tenant, arrival.saga_key, name, arrival.each or "", str(round_))
    key = "/".join(parts)
    if "%" not in key and key.count("/") == len(parts) - 1:
        return key
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def with_key(delivery: Delivery, key: str) -> Saga:
    """Return the saga as the function sees it."""
    return replace(delivery.saga, idempotency_key=key)


def _need(step: Step[..., Any], variable: Variable) -> str:
    return f"{step.job_type} needs variable `{variable.name}` ({variable.type_name})"


def _called(
    task: Step[..., Any] | Compensation[Any],
    delivery: Delivery,
    arguments: dict[str, object],
    session: Session | None,
) -> object:
    """Call the function, and flush what it left in its session; that's of its time."""
    began = time.perf_counter()
    try:
        returned = _returned(task, arguments)
        if session is not None:
            session.flush()
        return returned
    finally:
        delivery.took(time.perf_counter() - began)


def _returned(task: Step[..., Any] | Compensation[Any], arguments: dict[str, object]) -> object:
    if not task.is_async:
        return task.function(**arguments)
    # Only a service with such tasks needs the extra `async`.
    from sagaworks.ledger import bridge  # noqa: PLC0415

    return bridge.call(task.function, arguments)


def undo_entry(
    undo: Compensation[Any], delivery: Delivery, entry: Entry, session: Session | None
) -> None:
    """Call the compensation for one ledger row, with that row's fact, round and `each`.

    Raises:
        Halt: the compensation refused, which it may not.
    """
    of_its_row = replace(delivery.arrival, step=entry.step, each=entry.each)
    of_its_run = replace(delivery, arrival=of_its_row)
    try:
        call_compensation(undo, of_its_run, entry.round, entry.answer, session)
    except Refusal as refusal:
        raise Halt(f"{undo.job_type} may not refuse: {refusal.code} {refusal.why}") from None
