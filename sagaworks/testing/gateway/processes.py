"""Processes and their instances: what was deployed, created, cancelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import grpc
from lxml import etree
from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.testing.gateway.deliveries import Deliveries
from sagaworks.testing.gateway.demands import TENANT, Refused, demand, not_found, object_of
from sagaworks.testing.gateway.jobs import JobState, ScriptedJob

_BPMN: Final = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"


class Processes:
    """Deploy, create and cancel; each takes a request and returns the reply.

    Args:
        keys: where new keys come from.
        jobs: every job, by key.
        deliveries: where the jobs of a cancelled instance leave.

    Attributes:
        instances: what CreateProcessInstance was asked for, by process instance key.
    """

    def __init__(
        self, keys: Iterator[int], jobs: Mapping[int, ScriptedJob], deliveries: Deliveries
    ) -> None:
        self.instances: dict[int, pb.CreateProcessInstanceRequest] = {}
        self._keys = keys
        self._jobs = jobs
        self._deliveries = deliveries
        self._known: dict[str, tuple[int, int, bytes]] = {}

    def create_instance(
        self, request: pb.CreateProcessInstanceRequest
    ) -> pb.CreateProcessInstanceResponse:
        """Note what was asked for; a request that is sent again makes a second instance."""
        object_of(request.variables)
        if request.bpmnProcessId not in self._known:
            not_found(f"Expected to find process '{request.bpmnProcessId}', but none found")
        version, key, _ = self._known[request.bpmnProcessId]
        instance = next(self._keys)
        self.instances[instance] = request
        return pb.CreateProcessInstanceResponse(
            processDefinitionKey=key,
            bpmnProcessId=request.bpmnProcessId,
            version=version,
            processInstanceKey=instance,
            tenantId=TENANT,
        )

    def cancel_instance(
        self, request: pb.CancelProcessInstanceRequest
    ) -> pb.CancelProcessInstanceResponse:
        """Take away the jobs of an instance; nothing is compensated."""
        instance = request.processInstanceKey
        jobs = [job for job in self._jobs.values() if job.process_instance == instance]
        left = [job for job in jobs if not job.is_gone]
        if not left and self.instances.pop(instance, None) is None:
            not_found(f"Expected to cancel process instance '{instance}', but none found")
        for job in left:
            self._deliveries.leave(job, JobState.CANCELED)
        return pb.CancelProcessInstanceResponse()

    def deploy_resource(self, request: pb.DeployResourceRequest) -> pb.DeployResourceResponse:
        """Note the ids of the processes; only what isn't XML or has a DTD is rejected."""
        found = [(id_, file) for file in request.resources for id_ in _process_ids(file)]
        return pb.DeployResourceResponse(
            key=next(self._keys),
            deployments=[pb.Deployment(process=self._process(id_, file)) for id_, file in found],
            tenantId=TENANT,
        )

    def deploy(self, process_id: str, content: bytes) -> tuple[int, int]:
        """Return version and key of a process: new ones only for new content."""
        version, key, known = self._known.get(process_id, (0, 0, None))
        if known != content:
            version, key = version + 1, next(self._keys)
            self._known[process_id] = (version, key, content)
        return version, key

    def _process(self, process_id: str, file: pb.Resource) -> pb.ProcessMetadata:
        version, key = self.deploy(process_id, file.content)
        return pb.ProcessMetadata(
            bpmnProcessId=process_id,
            version=version,
            processDefinitionKey=key,
            resourceName=file.name,
            tenantId=TENANT,
        )


def _process_ids(file: pb.Resource) -> list[str]:
    try:
        root = etree.fromstring(file.content, etree.XMLParser(resolve_entities=False))
    except etree.XMLSyntaxError as error:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"'{file.name}': {error}") from None
    demand(not root.getroottree().docinfo.doctype, f"'{file.name}' to have no DOCTYPE")
    return [str(process.get("id")) for process in root.iter(f"{_BPMN}process")]
