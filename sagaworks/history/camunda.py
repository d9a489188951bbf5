"""The search API, ``/v2``, of Camunda 8.8 and later, as a history."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sagaworks.history.asking import Server, understood
from sagaworks.history.moments import millis_of
from sagaworks.history.port import HistoryUnavailable
from sagaworks.history.values import Element, Incident, Instance, Job
from sagaworks.saga import KEY_VARIABLE, ElementKey, JobKey, SagaKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sagaworks.history.values import Undoing

_AT_ONCE: Final = 500
_LAST: Final = {
    "ACTIVE": "ELEMENT_ACTIVATED",
    "COMPLETED": "ELEMENT_COMPLETED",
    "TERMINATED": "ELEMENT_TERMINATED",
    "CANCELED": "ELEMENT_TERMINATED",
}
"""The engine's own words for the states that are told."""

_SCOPES: Final = frozenset(
    {"SUB_PROCESS", "EVENT_SUB_PROCESS", "MULTI_INSTANCE_BODY", "AD_HOC_SUB_PROCESS"}
)


class CamundaHistory:
    """Answers as `sagaworks.history.History`, as far as the search API can.

    It tells neither of compensation subscriptions nor of a restored engine: `undoings` are none,
    and `life` is 1. Its index must be restored together with the engine.

    Args:
        url: ``http(s)://[user:password@]host[:port]``.
    """

    api = "the search API /v2"

    def __init__(self, url: str) -> None:
        """Ask nothing yet."""
        self._server = Server(url)

    def life(self) -> int:
        """See `History`."""
        return 1

    @understood
    def job(self, key: JobKey) -> Job | None:
        """See `History`."""
        return next((_job(one) for one in self._search("jobs", jobKey=str(key))), None)

    @understood
    def instance(self, key: SagaKey) -> Instance | None:
        """See `History`."""
        found = next(self._search("process-instances", processInstanceKey=str(key)), None)
        if found is None:
            return None
        named = self._search("variables", name=KEY_VARIABLE, scopeKey=str(key))
        return _instance(found, next((text_of(one["value"]) for one in named), None))

    @understood
    def instances(self, business_key: str) -> Sequence[Instance]:
        """See `History`."""
        named = self._search("variables", name=KEY_VARIABLE, value=json.dumps(business_key))
        roots = [one for one in named if one["scopeKey"] == one["processInstanceKey"]]
        found = [self.instance(SagaKey(int(one["processInstanceKey"]))) for one in roots]
        return sorted((one for one in found if one), key=lambda one: (one.began, one.key))

    @understood
    def jobs(self, instance: SagaKey) -> Sequence[Job]:
        """See `History`."""
        found = (_job(one) for one in self._search("jobs", processInstanceKey=str(instance)))
        return sorted(found, key=lambda one: one.key)

    @understood
    def elements(self, instance: SagaKey) -> Sequence[Element]:
        """See `History`."""
        found = [*self._inside(instance, str(instance))]
        if not found:
            return []
        found.sort(key=lambda one: (one[0].get("endDate") or one[0]["startDate"], one[1]))
        elements = [_element(*one, order) for order, one in enumerate(found, 1)]
        return [*elements, *self._flows(instance, len(found))]

    @understood
    def incidents(self, instance: SagaKey) -> Sequence[Incident]:
        """See `History`."""
        return [
            _incident(one) for one in self._search("incidents", processInstanceKey=str(instance))
        ]

    def undoings(self, instance: SagaKey) -> Sequence[Undoing]:  # noqa: ARG002  it isn't told
        """See `History`."""
        return []

    def undone_by(self, handler_instance: ElementKey) -> Undoing | None:  # noqa: ARG002
        """See `History`."""
        return None

    @understood
    def diagram(self, instance: SagaKey) -> bytes | None:
        """See `History`."""
        found = self.instance(instance)
        if found is None:
            return None
        return self._server.content(f"/v2/process-definitions/{found.definition}/xml")

    def _inside(self, instance: SagaKey, scope: str) -> Iterator[tuple[Mapping[str, Any], int]]:
        """Yield all element instances with their scope, which no answer names, only a filter."""
        asked = {"processInstanceKey": str(instance), "elementInstanceScopeKey": scope}
        for one in self._search("element-instances", **asked):
            yield one, int(scope)
            if one["type"] in _SCOPES:
                yield from self._inside(instance, one["elementInstanceKey"])

    def _flows(self, instance: SagaKey, after: int) -> Iterator[Element]:
        answer = self._server.get(f"/v2/process-instances/{instance}/sequence-flows")
        for order, one in enumerate(answer["items"], after + 1):
            yield flow_taken(instance, str(one["elementId"]), order)

    def _search(self, what: str, **wanted: str) -> Iterator[Mapping[str, Any]]:
        """Yield all that matches, a page after the other."""
        cursor: dict[str, str] = {}
        while True:
            page = {"limit": _AT_ONCE, **cursor}
            answer = self._server.post(f"/v2/{what}/search", {"filter": wanted, "page": page})
            try:
                items, end = answer["items"], answer["page"].get("endCursor")
            except (LookupError, TypeError, AttributeError):
                raise HistoryUnavailable(
                    f"what answers at {self._server.name} has no /v2"
                ) from None
            yield from items
            if len(items) < _AT_ONCE or not end:
                return
            if cursor.get("after") == end:
                raise ValueError(end)  # it would go on for ever
            cursor = {"after": end}


def flow_taken(instance: SagaKey, id_: str, order: int) -> Element:
    """Return a flow of which nothing is known but that it was taken."""
    return Element(
        key=ElementKey(-order),
        id=id_,
        kind="SEQUENCE_FLOW",
        event="",
        instance=instance,
        scope=ElementKey(instance),
        last="SEQUENCE_FLOW_TAKEN",
        began=0,
        order=order,
    )


def last_of(state: str) -> str:
    """Return the engine's last word where a state is told."""
    return _LAST.get(state, state)


def _job(found: Mapping[str, Any]) -> Job:
    ended = found.get("endTime")
    return Job(
        key=JobKey(int(found["jobKey"])),
        type=found["type"],
        instance=SagaKey(int(found["processInstanceKey"])),
        element=found["elementId"],
        element_instance=ElementKey(int(found["elementInstanceKey"])),
        last=found["state"],
        retries=found["retries"],
        at=millis_of(ended) if ended else 0,
        error_code=found.get("errorCode") or "",
        error_message=found.get("errorMessage") or "",
    )


def _instance(found: Mapping[str, Any], business_key: str | None) -> Instance:
    parent, ended = found.get("parentProcessInstanceKey"), found.get("endDate")
    return Instance(
        key=SagaKey(int(found["processInstanceKey"])),
        process=found["processDefinitionId"],
        version=found["processDefinitionVersion"],
        definition=int(found["processDefinitionKey"]),
        last=last_of(found["state"]),
        began=millis_of(found["startDate"]),
        business_key=business_key,
        parent=SagaKey(int(parent)) if parent else None,
        ended=millis_of(ended) if ended else None,
    )


def _element(found: Mapping[str, Any], scope: int, order: int) -> Element:
    ended = found.get("endDate")
    return Element(
        key=ElementKey(int(found["elementInstanceKey"])),
        id=found["elementId"],
        kind=found["type"],
        event="",
        instance=SagaKey(int(found["processInstanceKey"])),
        scope=ElementKey(scope),
        last=last_of(found["state"]),
        began=millis_of(found["startDate"]),
        order=order,
        ended=millis_of(ended) if ended else None,
    )


def _incident(found: Mapping[str, Any]) -> Incident:
    job = found.get("jobKey")
    return Incident(
        key=int(found["incidentKey"]),
        instance=SagaKey(int(found["processInstanceKey"])),
        element=found["elementId"],
        element_instance=ElementKey(int(found["elementInstanceKey"])),
        kind=found["errorType"],
        message=found.get("errorMessage") or "",
        job=JobKey(int(job)) if job else None,
        resolved=found["state"] == "RESOLVED",
    )


def text_of(value: str) -> str | None:
    """Return the text that a variable's value is in JSON; one that was cut off is nobody's key."""
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, str) else None
