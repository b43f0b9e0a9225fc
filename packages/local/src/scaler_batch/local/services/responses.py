"""Requests to Batch as moto hands them over.

What concerns jobs goes to :class:`~..jobs_api.JobsApi`, the rest to moto. Batch knows two errors only, so whatever
else moto raises becomes a ClientException.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from moto.batch import urls as moto_urls
from moto.batch.exceptions import InvalidParameterValueException, ValidationError
from moto.batch.responses import BatchResponse
from moto.core.exceptions import AWSError

from ..batch import limits
from ..errors import ApiError
from ..jobs_api import JobsApi
from .backend import LocalBatchBackend

Operation = Callable[[JobsApi, Mapping[str, Any]], Mapping[str, Any]]


class LocalBatchResponse(BatchResponse):
    """One request; moto's dispatcher calls the method that has the last part of the path as its name."""

    def registerjobdefinition(self) -> str:
        """RegisterJobDefinition: moto's, with AWS's size limit."""
        return self._translated(self._register)

    def _register(self) -> str:
        limits.check_size(self.raw_body, limits.DEFINITION_BYTES, "The job definition")
        priority = _json(self.raw_body).get("schedulingPriority")
        checked = None if priority is None else limits.check_priority(priority)
        answer = super().registerjobdefinition()
        if checked is not None:
            self._backend.priorities[json.loads(answer)["jobDefinitionArn"]] = checked
        return answer

    def createcomputeenvironment(self) -> str:
        """CreateComputeEnvironment: moto's."""
        return self._translated(super().createcomputeenvironment)

    def updatecomputeenvironment(self) -> str:
        """UpdateComputeEnvironment: moto's."""
        return self._translated(super().updatecomputeenvironment)

    def describejobdefinitions(self) -> str:
        """DescribeJobDefinitions: moto's."""
        return self._translated(self._describe_definitions)

    def _describe_definitions(self) -> str:
        answer = json.loads(_without_nulls(super().describejobdefinitions()))
        for each in answer["jobDefinitions"]:
            if each["jobDefinitionArn"] in self._backend.priorities:
                each["schedulingPriority"] = self._backend.priorities[each["jobDefinitionArn"]]
        return json.dumps(answer)

    def describejobqueues(self) -> str:
        """DescribeJobQueues: moto's."""
        return _without_nulls(super().describejobqueues())

    def deletejobqueue(self) -> str:
        """DeleteJobQueue: moto's, with AWS's conditions."""
        return self._translated(super().deletejobqueue)

    def createjobqueue(self) -> str:
        """CreateJobQueue: moto's, with AWS's conditions."""
        return self._translated(super().createjobqueue)

    def updatejobqueue(self) -> str:
        """UpdateJobQueue: moto's, with AWS's conditions."""
        return self._translated(super().updatejobqueue)

    def deleteschedulingpolicy(self) -> str:
        """DeleteSchedulingPolicy: moto's, with AWS's conditions."""
        return self._translated(super().deleteschedulingpolicy)

    def deletecomputeenvironment(self) -> str:
        """DeleteComputeEnvironment: moto's, with AWS's conditions."""
        return self._translated(super().deletecomputeenvironment)

    def submitjob(self) -> str:
        """SubmitJob."""
        return self._translated(self._submit)

    def _submit(self) -> str:
        limits.check_size(self.raw_body, limits.SUBMIT_BYTES, "The request")
        return self._ask(JobsApi.submit_job)

    def describejobs(self) -> str:
        """DescribeJobs."""
        return self._jobs(JobsApi.describe_jobs)

    def listjobs(self) -> str:
        """ListJobs."""
        return self._jobs(JobsApi.list_jobs)

    def terminatejob(self) -> str:
        """TerminateJob."""
        return self._jobs(JobsApi.terminate_job)

    def terminatejobs(self) -> str:
        """TerminateJobs."""
        return self._jobs(JobsApi.terminate_jobs)

    def canceljob(self) -> str:
        """CancelJob."""
        return self._jobs(JobsApi.cancel_job)

    def canceljobs(self) -> str:
        """CancelJobs."""
        return self._jobs(JobsApi.cancel_jobs)

    def getjobqueuesnapshot(self) -> str:
        """GetJobQueueSnapshot."""
        return self._jobs(JobsApi.get_job_queue_snapshot)

    def _jobs(self, operation: Operation) -> str:
        return self._translated(lambda: self._ask(operation))

    def _ask(self, operation: Operation) -> str:
        return json.dumps(operation(self._backend.jobs, _json(self.raw_body)))

    @property
    def _backend(self) -> LocalBatchBackend:
        backend = self.batch_backend
        if not isinstance(backend, LocalBatchBackend):
            raise TypeError("moto made a Batch backend before ours was installed")
        return backend

    @staticmethod
    def _translated(act: Callable[[], str]) -> str:
        """Run something that may refuse, and refuse in moto's way."""
        try:
            return act()
        except ApiError as error:
            raise AWSError(error.message, error.code, error.status) from error
        except (InvalidParameterValueException, ValidationError) as error:
            raise AWSError(error.message, "ClientException") from error


def _without_nulls(answer: str) -> str:
    """An answer of moto's without members that have no value: AWS leaves those out."""
    return json.dumps(json.loads(answer, object_hook=_known))


def _known(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        request = json.loads(body or b"{}")
    except ValueError as error:
        raise ApiError("The request is not JSON", "SerializationException") from error
    if not isinstance(request, dict):
        raise ApiError("The request is not a JSON object", "SerializationException")
    return request


_OURS = ("terminatejobs", "canceljobs", "getjobqueuesnapshot")

URL_PATHS = dict.fromkeys(moto_urls.url_paths, LocalBatchResponse.dispatch) | {
    f"{{0}}/v1/{operation}$": LocalBatchResponse.dispatch for operation in _OURS
}
