"""From the engine's job to the ledger's delivery: business key, inputs, what is evidence."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sagaworks.codec import Json, UnencodableError, encode
from sagaworks.errors import Halt
from sagaworks.ledger.call import Delivery
from sagaworks.ledger.rows import Arrival
from sagaworks.ledger.tables import LONGEST_EACH
from sagaworks.saga import (
    BY_HAND_VARIABLE,
    DIGEST_VARIABLE,
    KEY_VARIABLE,
    LONGEST_KEY,
    ElementKey,
    JobKey,
    Saga,
    SagaKey,
)
from sagaworks.step import Compensation, Step

_LOOP_COUNTER: Final = "loopCounter"
"""The engine's own variable inside a multi-instance activity, from 1."""


def variables_to_fetch(task: Step[..., Any] | Compensation[Any]) -> tuple[str, ...]:
    """Return the names a task's jobs are fetched with; never empty."""
    library = (KEY_VARIABLE, DIGEST_VARIABLE, _LOOP_COUNTER)
    if isinstance(task, Compensation):
        each = (task.step.each,) if task.step.each else ()
        return (*library, BY_HAND_VARIABLE, *each)
    return (*library, *task.variables)


def delivery_of(
    task: Step[..., Any] | Compensation[Any],
    job: Any,  # noqa: ANN401
    *,
    attempt: int,
    tenant: str,
) -> Delivery:
    """Return a job (pyzeebe's ``ActivatedJob``) as the ledger takes it.

    Raises:
        Halt: the business key or the value that tells runs apart is missing or unusable, or the
            variables are too large.
    """
    variables: dict[str, Json] = json.loads(job.variables)
    step = task.step if isinstance(task, Compensation) else task
    inputs = {name: variables[name] for name in step.variables if name in variables}
    business_key = _business_key(variables, job.processInstanceKey)
    arrival = Arrival(
        tenant=tenant,
        saga_key=business_key,
        process_instance=SagaKey(job.processInstanceKey),
        process_id=job.bpmnProcessId,
        step=step.name,
        names=step.names,
        job=JobKey(job.key),
        element=job.elementId,
        element_instance=ElementKey(job.elementInstanceKey),
        each=_each(task, step, variables),
        loop_counter=_loop_counter(variables),
        inputs=_digest_of_inputs(step, inputs),
        start_digest=_text_or_none(variables.get(DIGEST_VARIABLE)),
        taken_over=step.taken_over,
        undone_by_hand=_names(variables.get(BY_HAND_VARIABLE), step.name),
        undo_all=isinstance(task, Compensation) and _undoes_all(job.customHeaders),
    )
    saga = Saga(
        key=arrival.process_instance,
        business_key=business_key,
        attempt=attempt,
        deadline=datetime.fromtimestamp(job.deadline / 1000, UTC),
        idempotency_key="",
    )
    return Delivery(arrival, saga, inputs)


def digest(variables: Mapping[str, object]) -> str:
    """Return SHA-256 over the variables' canonical JSON, in hexadecimal.

    Raises:
        UnencodableError: a value has no JSON form.
    """
    return hashlib.sha256(encode(variables, place="the variables")).hexdigest()


def why_not_a_key(key: object) -> str | None:
    """Say why `key` can't be a business key, or None if it can."""
    if not isinstance(key, str):
        return f"is {type(key).__name__}, not text"
    if not key or key != key.strip():
        return "is empty or begins or ends with a blank"
    if len(key) > LONGEST_KEY:
        return f"has {len(key)} characters, at most {LONGEST_KEY} fit"
    # Nearly every key is plain: no control characters, no two ways to write a letter.
    plain = key.isascii() and key.isprintable()
    if not plain and any(unicodedata.category(character)[0] == "C" for character in key):
        return "has a control character in it"
    if not plain and key != unicodedata.normalize("NFC", key):
        return "isn't in Unicode's normal form NFC, so it could be mistaken for another"
    return None


def _business_key(variables: Mapping[str, Json], process_instance: int) -> str:
    key = variables.get(KEY_VARIABLE)
    if key is None:
        raise Halt(
            f"process instance {process_instance} has no variable `{KEY_VARIABLE}`, the business"
            " key that names this saga in every ledger: set it, or start by `sagaworks start`"
        )
    why_not = why_not_a_key(key)
    if why_not:
        raise Halt(f"variable `{KEY_VARIABLE}` of process instance {process_instance} {why_not}")
    return str(key)


def _each(
    task: Step[..., Any] | Compensation[Any], step: Step[..., Any], variables: Mapping[str, Json]
) -> str | None:
    if step.each is None:
        return ""
    value = variables.get(step.each)
    if value is None:
        if isinstance(task, Compensation):
            return None
        raise Halt(f"{step.job_type} tells its runs apart by `{step.each}`, which is missing")
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    if not text or len(text) > LONGEST_EACH:
        raise Halt(f"`{step.each}` must be 1 to {LONGEST_EACH} characters to tell runs apart")
    return text


def _digest_of_inputs(step: Step[..., Any], inputs: Mapping[str, Json]) -> str:
    try:
        return digest(inputs)
    except UnencodableError as error:
        raise Halt(f"{step.job_type} can't take its variables: {error}") from None


def _loop_counter(variables: Mapping[str, Json]) -> int | None:
    counter = variables.get(_LOOP_COUNTER)
    return counter if isinstance(counter, int) else None


def _undoes_all(headers: str) -> bool:
    """Whether the handler's header says so."""
    return bool(json.loads(headers or "{}").get("undo") == "all")


def _names(said: Json, step: str) -> bool:
    """Whether a person has named the step: alone, or in a list."""
    return step in said if isinstance(said, list) else said == step


def _text_or_none(value: Json) -> str | None:
    return value if isinstance(value, str) else None
