"""Camunda Operate's API, ``/v1``, as a history: what an engine of 8.6 has beside our own."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sagaworks.history.asking import Server, understood
from sagaworks.history.camunda import flow_taken, last_of, text_of
from sagaworks.history.moments import millis_of
from sagaworks.history.port import HistoryUnavailable
from sagaworks.history.values import Element, Incident, Instance
from sagaworks.saga import KEY_VARIABLE, ElementKey, JobKey, SagaKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sagaworks.history.values import Job, Undoing

_AT_ONCE: Final = 500
_CSRF: Final = "X-CSRF-TOKEN"


class OperateHistory:
    """Answers as `sagaworks.history.History`, as far as Operate's API can.

    It tells of no job and of no compensation subscription, so that the reconciler leaves listed
    whatever a terminated instance doesn't settle; nor of scopes, nor of a restored engine: `life`
    is 1. It lags some seconds behind the engine.

    Args:
        url: ``http(s)://user:password@host[:port]``.
    """

    api = "Operate's API /v1"

    def __init__(self, url: str) -> None:
        """Ask nothing yet."""
        parts = urlsplit(url)
        self._account = {"username": parts.username or "", "password": parts.password or ""}
        self._server = Server(url, authorizes=False)

    def life(self) -> int:
        """See `History`."""
        return 1

    def job(self, key: JobKey) -> Job | None:  # noqa: ARG002  it isn't told
        """See `History`."""
        return None

    @understood
    def instance(self, key: SagaKey) -> Instance | None:
        """See `History`."""
        found = next(self._search("process-instances", key=key), None)
        if found is None:
            return None
        named = next(self._search("variables", name=KEY_VARIABLE, scopeKey=key), None)
        return _instance(found, text_of(named["value"]) if named else None)

    @understood
    def instances(self, business_key: str) -> Sequence[Instance]:
        """See `History`."""
        named = self._search("variables", name=KEY_VARIABLE, value=json.dumps(business_key))
        roots = [one for one in named if one["scopeKey"] == one["processInstanceKey"]]
        found = [self.instance(SagaKey(one["processInstanceKey"])) for one in roots]
        return sorted((one for one in found if one), key=lambda one: (one.began, one.key))

    def jobs(self, instance: SagaKey) -> Sequence[Job]:  # noqa: ARG002  it isn't told
        """See `History`."""
        return []

    @understood
    def elements(self, instance: SagaKey) -> Sequence[Element]:
        """See `History`."""
        found = [*self._search("flownode-instances", processInstanceKey=instance)]
        found.sort(key=lambda one: (one.get("endDate") or one["startDate"], one["key"]))
        elements = [_element(one, order) for order, one in enumerate(found, 1)]
        if not found:  # nor are flows: 404 (measured)
            return []
        flows: Sequence[str] = self._ask("GET", f"process-instances/{instance}/sequence-flows")
        first = len(found) + 1
        return [*elements, *(flow_taken(instance, id_, n) for n, id_ in enumerate(flows, first))]

    @understood
    def incidents(self, instance: SagaKey) -> Sequence[Incident]:
        """See `History`."""
        nodes = {
            one["incidentKey"]: one
            for one in self._search("flownode-instances", processInstanceKey=instance)
            if one.get("incidentKey")
        }
        found = self._search("incidents", processInstanceKey=instance)
        return [_incident(one, nodes.get(one["key"], {})) for one in found]

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
        self._log_in()
        return self._server.content(f"/v1/process-definitions/{found.definition}/xml")

    def _search(self, what: str, **wanted: object) -> Iterator[Mapping[str, Any]]:
        """Yield all that matches, a page after the other."""
        after: dict[str, object] = {}
        while True:
            body = {"filter": wanted, "size": _AT_ONCE, "sort": [{"field": "key", "order": "ASC"}]}
            answer = self._ask("POST", f"{what}/search", json={**body, **after})
            try:
                items, end = answer["items"], answer.get("sortValues")
            except (LookupError, TypeError, AttributeError):
                raise HistoryUnavailable(
                    f"what answers at {self._server.name} has no /v1"
                ) from None
            yield from items
            if len(items) < _AT_ONCE or not end:
                return
            if after.get("searchAfter") == end:
                raise ValueError(end)  # it would go on for ever
            after = {"searchAfter": end}

    def _ask(self, method: str, path: str, **content: Any) -> Any:  # noqa: ANN401  JSON
        """Ask; once more after a login if the last one has run out."""
        self._log_in()
        answer = self._server.send(method, f"/v1/{path}", **content)
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            self._server.headers.pop("Cookie", None)
            self._log_in()
            answer = self._server.send(method, f"/v1/{path}", **content)
        return self._server.read(answer)

    def _log_in(self) -> None:
        """Take a session: its cookie, and what is to be shown against forged requests."""
        if "Cookie" in self._server.headers:
            return
        answer = self._server.send(
            "POST", "/api/login", fields=self._account, encode_multipart=False
        )
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            raise HistoryUnavailable(f"Operate at {self._server.name} refuses the login")
        cookies = [one.partition(";")[0] for one in answer.headers.getlist("Set-Cookie")]
        self._server.headers["Cookie"] = "; ".join(cookies)
        if token := answer.headers.get(_CSRF):
            self._server.headers[_CSRF] = token


def _instance(found: Mapping[str, Any], business_key: str | None) -> Instance:
    parent, ended = found.get("parentKey"), found.get("endDate")
    return Instance(
        key=SagaKey(found["key"]),
        process=found["bpmnProcessId"],
        version=found["processVersion"],
        definition=found["processDefinitionKey"],
        last=last_of(found["state"]),
        began=millis_of(found["startDate"]),
        business_key=business_key,
        parent=SagaKey(parent) if parent and parent > 0 else None,
        ended=millis_of(ended) if ended else None,
    )


def _element(found: Mapping[str, Any], order: int) -> Element:
    ended = found.get("endDate")
    return Element(
        key=ElementKey(found["key"]),
        id=found["flowNodeId"],
        kind=found["type"],
        event="",
        instance=SagaKey(found["processInstanceKey"]),
        scope=ElementKey(found["processInstanceKey"]),
        last=last_of(found["state"]),
        began=millis_of(found["startDate"]),
        order=order,
        ended=millis_of(ended) if ended else None,
    )


def _incident(found: Mapping[str, Any], node: Mapping[str, Any]) -> Incident:
    job = found.get("jobKey")
    return Incident(
        key=found["key"],
        instance=SagaKey(found["processInstanceKey"]),
        element=node.get("flowNodeId", ""),
        element_instance=ElementKey(node.get("key", -1)),
        kind=found["type"],
        message=found.get("message") or "",
        job=JobKey(job) if job and job > 0 else None,
        resolved=found["state"] == "RESOLVED",
    )
