"""Records as an engine's exporter writes them, for a history that tells what a test wants."""

import json
from base64 import b64encode
from itertools import count
from typing import Any

from sagaworks.history import MemoryHistory
from sagaworks.step import Compensation, Step

DEFINITION = 5

PLAIN = """
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"><process id="p"/></definitions>
"""
"""A diagram that declares nothing."""


class Recorded:
    """An engine as history sees it: each call is one record, or the few that come together."""

    def __init__(self, history: MemoryHistory) -> None:
        self._history = history
        self._positions = count(1)
        self._diagram: str | None = PLAIN

    def restored(self) -> None:
        """Go back to before the first record: what comes next opens another life."""
        self._positions = count(1)

    def saga(
        self, key: str, instance: int, *, began: int = 1000, diagram: str | None = PLAIN
    ) -> None:
        """A saga begins; `diagram` is None where history hasn't seen it deployed."""
        self._diagram = diagram
        if diagram and diagram != PLAIN:
            resource = b64encode(diagram.encode()).decode()
            about = {"bpmnProcessId": "p", "version": 1, "processDefinitionKey": DEFINITION}
            self._record("PROCESS", "CREATED", DEFINITION, resource=resource, **about)
        self._process("ELEMENT_ACTIVATED", instance, at=began)
        named = {"name": "saga_key", "value": json.dumps(key), "scopeKey": instance}
        self._record(
            "VARIABLE", "CREATED", instance + 500_000, processInstanceKey=instance, **named
        )

    def ended(self, instance: int) -> None:
        self._process("ELEMENT_COMPLETED", instance)

    def cancelled(self, instance: int) -> None:
        """An operator cancels it; its jobs, if it has any, are to be told of too."""
        self._process("ELEMENT_TERMINATED", instance)

    def job(
        self,
        task: Step[..., Any] | Compensation[Any],
        intent: str,
        *,
        job: int = 1,
        instance: int = 1,
        element_instance: int | None = None,
    ) -> None:
        """A job, as tests.stores.world delivers it, is now this."""
        self._record(
            "JOB",
            intent,
            job,
            type=task.job_type,
            processInstanceKey=instance,
            elementId=task.name,
            elementInstanceKey=element_instance or 1000 + job,
            retries=3,
        )

    def handed_back(self, step: Step[..., Any], job: int, instance: int, why: str) -> None:
        """A worker gave the job back, and said why."""
        self._record(
            "JOB",
            "FAILED",
            job,
            type=step.job_type,
            processInstanceKey=instance,
            elementId=step.name,
            elementInstanceKey=1000 + job,
            retries=3,
            errorMessage=why,
        )

    def element(
        self, id_: str, intent: str, key: int, *, scope: int, instance: int = 1, kind: str = ""
    ) -> None:
        """An element instance, or a flow, is now this."""
        about = {"elementId": id_, "bpmnElementType": kind or "SERVICE_TASK", "flowScopeKey": scope}
        process = {"bpmnProcessId": "p", "version": 1, "processDefinitionKey": DEFINITION}
        self._record(
            "PROCESS_INSTANCE", intent, key, processInstanceKey=instance, **about, **process
        )

    def undoing(self, of: int, by: int, *, instance: int = 1) -> None:
        """Compensation is thrown: the handler instance `by` undoes the element instance `of`."""
        self._record(
            "COMPENSATION_SUBSCRIPTION",
            "TRIGGERED",
            of + 700_000,
            processInstanceKey=instance,
            compensableActivityId="a",
            compensableActivityInstanceKey=of,
            compensationHandlerId="undo_a",
            compensationHandlerInstanceKey=by,
            throwEventId="give_up",
        )

    def uncaught(self, job: int, *, instance: int = 1) -> None:
        """Nobody caught what the job threw: an incident."""
        self._record(
            "INCIDENT",
            "CREATED",
            job + 800_000,
            processInstanceKey=instance,
            elementId="a",
            elementInstanceKey=1000 + job,
            jobKey=job,
            errorType="UNHANDLED_ERROR_EVENT",
            errorMessage="",
        )

    def _process(self, intent: str, instance: int, at: int | None = None) -> None:
        self._record(
            "PROCESS_INSTANCE",
            intent,
            instance,
            at=at,
            processInstanceKey=instance,
            elementId="p",
            bpmnElementType="PROCESS",
            flowScopeKey=-1,
            bpmnProcessId="p",
            version=1,
            processDefinitionKey=DEFINITION,
        )

    def _record(
        self, type_: str, intent: str, key: int, *, at: int | None = None, **value: object
    ) -> None:
        position = next(self._positions)
        self._history.take(
            {
                "partitionId": 1,
                "position": position,
                "timestamp": at or 10_000_000 + position,
                "recordType": "EVENT",
                "valueType": type_,
                "intent": intent,
                "key": key,
                "value": value,
            }
        )
        if self._diagram:
            # Told without a record, and forgotten with a life.
            self._history.know(DEFINITION, self._diagram.encode())
