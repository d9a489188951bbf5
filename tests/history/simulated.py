"""Simulated: Camunda's search API and Operate's API, told from a history in memory.

Written after the vendor's own description of them; no real cluster of 8.8 answered here.
"""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from sagaworks.history import Element, Incident, Instance, Job, MemoryHistory
from sagaworks.history.keeping.web import Answer, Request, WebServer, in_json, refuse

PAGE = 2
"""Items on a page, so that there are several."""

ACCOUNT = ("demo", "pass+word")
STATES = {"ELEMENT_COMPLETED": "COMPLETED", "ELEMENT_TERMINATED": "TERMINATED"}


def moment(millis: int | None) -> str | None:
    if millis is None:
        return None
    return datetime.fromtimestamp(millis / 1000, UTC).isoformat(timespec="milliseconds")


class Simulated:
    """What both have in common: records come in, tables are searched a page at a time."""

    def __init__(self) -> None:
        self.history = MemoryHistory()
        self.keys: list[tuple[int, int, str]] = []
        self.server = WebServer("127.0.0.1", 0, self.answer)

    def answer(self, request: Request) -> Answer:
        raise NotImplementedError

    def take(self, records: Iterable[dict]) -> None:
        for one in records:
            self.history.take(one)
            value = one["value"]
            if one["valueType"] == "VARIABLE":
                variable = (value["processInstanceKey"], value["scopeKey"], value["value"])
                self.keys.append(variable)

    def every(self, of: Callable[[Any], Iterable[Any]]) -> list[tuple[Instance, Any]]:
        return [(one, found) for one in self.history.all_instances() for found in of(one.key)]


class SimulatedCamunda(Simulated):
    """``/v2``, of Camunda 8.8."""

    def answer(self, request: Request) -> Answer:
        match request.path.split("/")[2:]:
            case [what, "search"]:
                return self._search(what, json.loads(request.body))
            case ["process-instances", key, "sequence-flows"]:
                flows = [one for one in self.history.elements(int(key)) if _is_flow(one)]
                return in_json({"items": [{"elementId": one.id} for one in flows]})
            case ["process-definitions", _, "xml"]:
                return _xml(self.history)
        return refuse(HTTPStatus.NOT_FOUND, request.path)

    def _search(self, what: str, asked: dict) -> Answer:
        rows = {
            "jobs": self._jobs,
            "process-instances": self._instances,
            "element-instances": self._elements,
            "incidents": self._incidents,
            "variables": self._variables,
        }[what]()
        found = [row for row in rows if asked["filter"].items() <= row.items()]
        first = int(asked["page"].get("after", 0))
        limit = asked["page"]["limit"]
        end = str(first + limit) if found[first : first + limit] else None
        page = {"totalItems": len(found), "endCursor": end}
        shown = [_without(row, "elementInstanceScopeKey") for row in found[first : first + limit]]
        return in_json({"items": shown, "page": page})

    def _jobs(self) -> list[dict]:
        jobs: list[Job] = [*self.history._account.jobs.values()]
        return [
            {
                "jobKey": str(one.key),
                "type": one.type,
                "processInstanceKey": str(one.instance),
                "elementId": one.element,
                "elementInstanceKey": str(one.element_instance),
                "state": one.last,
                "retries": one.retries,
            }
            for one in reversed(jobs)
        ]

    def _instances(self) -> list[dict]:
        return [
            {
                "processInstanceKey": str(one.key),
                "processDefinitionId": one.process,
                "processDefinitionVersion": one.version,
                "processDefinitionKey": str(one.definition),
                "state": STATES.get(one.last, "ACTIVE"),
                "startDate": moment(one.began),
                "endDate": moment(one.ended),
                "parentProcessInstanceKey": str(one.parent) if one.parent else None,
            }
            for one in self.history.all_instances()
        ]

    def _elements(self) -> list[dict]:
        elements: list[Element] = [
            one for one in self.history._account.elements.values() if not _is_flow(one)
        ]
        return [
            {
                "elementInstanceKey": str(one.key),
                "processInstanceKey": str(one.instance),
                "elementInstanceScopeKey": str(one.scope),
                "elementId": one.id,
                "type": one.kind,
                "state": STATES.get(one.last, "ACTIVE"),
                "startDate": moment(one.began),
                "endDate": moment(one.ended),
            }
            for one in elements
        ]

    def _incidents(self) -> list[dict]:
        incidents: list[Incident] = [*self.history._account.incidents.values()]
        return [
            {
                "incidentKey": str(one.key),
                "processInstanceKey": str(one.instance),
                "elementId": one.element,
                "elementInstanceKey": str(one.element_instance),
                "errorType": one.kind,
                "errorMessage": one.message,
                "jobKey": str(one.job),
                "state": "RESOLVED" if one.resolved else "ACTIVE",
            }
            for one in incidents
        ]

    def _variables(self) -> list[dict]:
        return [
            {
                "name": "saga_key",
                "value": value,
                "scopeKey": str(scope),
                "processInstanceKey": str(instance),
            }
            for instance, scope, value in self.keys
        ]


class SimulatedOperate(Simulated):
    """``/v1``, of Operate 8.6, with its session and its guard against forged requests."""

    def answer(self, request: Request) -> Answer:
        if request.path == "/api/login":
            return self._log_in(request)
        if request.headers.get("Cookie") != "OPERATE-SESSION=abc":
            return refuse(HTTPStatus.UNAUTHORIZED, "no session")
        match request.path.split("/")[2:]:
            case [what, "search"]:
                return self._search(what, json.loads(request.body))
            case ["process-instances", key, "sequence-flows"]:
                flows = [one for one in self.history.elements(int(key)) if _is_flow(one)]
                return in_json([one.id for one in flows])
            case ["process-definitions", _, "xml"]:
                return _xml(self.history)
        return refuse(HTTPStatus.NOT_FOUND, request.path)

    def _log_in(self, request: Request) -> Answer:
        given = request.body.decode()
        if given != "username=demo&password=pass%2Bword":
            return refuse(HTTPStatus.UNAUTHORIZED, "wrong password")
        return Answer(HTTPStatus.OK, b"", more={"Set-Cookie": "OPERATE-SESSION=abc; Path=/"})

    def _search(self, what: str, asked: dict) -> Answer:
        rows = {
            "process-instances": self._instances,
            "flownode-instances": self._elements,
            "incidents": self._incidents,
            "variables": self._variables,
        }[what]()
        after = asked.get("searchAfter", [-1])[0]
        matching = [row for row in rows if asked["filter"].items() <= row.items()]
        ahead = sorted((row for row in matching if row["key"] > after), key=lambda row: row["key"])
        items = ahead[: asked["size"]]
        end = [items[-1]["key"]] if items else []
        return in_json({"items": items, "sortValues": end, "total": len(matching)})

    def _instances(self) -> list[dict]:
        return [
            {
                "key": one.key,
                "bpmnProcessId": one.process,
                "processVersion": one.version,
                "processDefinitionKey": one.definition,
                "state": {"ELEMENT_TERMINATED": "CANCELED"}.get(
                    one.last, STATES.get(one.last, "ACTIVE")
                ),
                "startDate": moment(one.began),
                "endDate": moment(one.ended),
                "parentKey": one.parent,
            }
            for one in self.history.all_instances()
        ]

    def _elements(self) -> list[dict]:
        incidents = self.history._account.incidents
        by_element = {one.element_instance: key for key, one in incidents.items()}
        shown = [one for one in self.history._account.elements.values() if not _is_flow(one)]
        return [
            {
                "key": one.key,
                "processInstanceKey": one.instance,
                "flowNodeId": one.id,
                "type": one.kind,
                "state": STATES.get(one.last, "ACTIVE"),
                "startDate": moment(one.began),
                "endDate": moment(one.ended),
                "incidentKey": by_element.get(one.key),
            }
            for one in shown
        ]

    def _incidents(self) -> list[dict]:
        return [
            {
                "key": one.key,
                "processInstanceKey": one.instance,
                "type": one.kind,
                "message": one.message,
                "jobKey": one.job,
                "state": "RESOLVED" if one.resolved else "ACTIVE",
            }
            for one in self.history._account.incidents.values()
        ]

    def _variables(self) -> list[dict]:
        return [
            {
                "key": number,
                "name": "saga_key",
                "value": value,
                "scopeKey": scope,
                "processInstanceKey": instance,
            }
            for number, (instance, scope, value) in enumerate(self.keys)
        ]


def _is_flow(one: Element) -> bool:
    return one.kind == "SEQUENCE_FLOW"


def _xml(history: MemoryHistory) -> Answer:
    (xml,) = history._account.diagrams.values()
    return Answer(HTTPStatus.OK, xml, "text/xml")


def _without(row: dict, name: str) -> dict:
    return {key: value for key, value in row.items() if key != name}
