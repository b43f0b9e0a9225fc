"""The operations on jobs: JSON in, JSON out, or an :class:`~.errors.ApiError`.

One object serves one account and region. Queues and job definitions are looked up before the engine is locked,
because the catalogue has locks of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from .batch import limits
from .batch.describing import detail, summary
from .batch.engine import Engine
from .batch.job import Job
from .batch.listing import select
from .batch.specification import specify
from .batch.vocabulary import Definition, Queue, Scope
from .errors import ApiError
from .faults.reads import BULK_ERRORS, BulkError
from .machine import Machine

Json = Mapping[str, Any]
End = Callable[[Engine, Job, str, float], None]

SNAPSHOT_JOBS: Final = 100


class Catalogue(Protocol):
    """Where queues and job definitions are found."""

    def queue(self, identifier: str) -> Queue | None:
        """A queue by name or ARN."""

    def definition(self, identifier: str) -> Definition | None:
        """A job definition by name (its latest active revision), name and revision, or ARN."""


class Interference(Protocol):
    """What answers say instead of how it is."""

    def sight(self, operation: str, jobs: list[Job], now: float) -> list[Job]:
        """The jobs to show where these would be; ``now`` in seconds since 1970."""

    def shown(self, operation: str, job: Job, members: dict[str, Any]) -> dict[str, Any]:
        """The members of a job to show where these would be."""

    def bulk_error(self, operation: str, job: Job) -> BulkError | None:
        """The error that a bulk operation reports for a job, if it does."""


class JobsApi:
    """SubmitJob, DescribeJobs, ListJobs, TerminateJob(s), CancelJob(s) and GetJobQueueSnapshot.

    Args:
        machine: What runs the jobs.
        catalogue: The queues and job definitions of the scope.
        scope: The account and region.
        interference: What goes wrong with answers.
        minimum_timeout: The shortest job timeout to accept, in seconds.
    """

    def __init__(
        self, machine: Machine, catalogue: Catalogue, scope: Scope, interference: Interference, minimum_timeout: int
    ) -> None:
        self._machine = machine
        self._catalogue = catalogue
        self._scope = scope
        self._interference = interference
        self._minimum_timeout = minimum_timeout

    def submit_job(self, request: Json) -> Json:
        """Accept a job."""
        queue = self._queue(request.get("jobQueue"))
        if not queue.enabled:
            raise limits.refuse(f"Job queue {queue.name} is disabled.")
        definition = self._definition(request.get("jobDefinition"))
        spec = specify(request, definition, queue, self._scope, self._minimum_timeout)
        with self._machine.engine() as (engine, now):
            for dependency in spec.depends_on:
                if dependency.job_id is not None and self._find(engine, dependency.job_id) is None:
                    raise limits.refuse(f"Job {dependency.job_id} in dependsOn does not exist.")
            job = engine.submit(str(uuid.uuid4()), spec, now)
        return {"jobArn": self._scope.arn(f"job/{job.id}"), "jobId": job.id, "jobName": spec.name}

    def describe_jobs(self, request: Json) -> Json:
        """Show jobs in full; ids that are not known are left out."""
        ids = limits.check_ids(request.get("jobs"), limits.DESCRIBED_JOBS)
        with self._machine.engine() as (engine, now):
            found = filter(None, [self._find(engine, job_id) for job_id in dict.fromkeys(ids)])
            seen = self._interference.sight("DescribeJobs", list(found), now)
            return {"jobs": [self._interference.shown("DescribeJobs", job, detail(job)) for job in seen]}

    def list_jobs(self, request: Json) -> Json:
        """Show jobs in short, a page at a time."""
        named = [key for key in ("jobQueue", "arrayJobId", "multiNodeJobId") if request.get(key)]
        if len(named) != 1:
            raise ApiError("Exactly one of jobQueue, arrayJobId and multiNodeJobId must be given")
        queue = self._queue(request["jobQueue"]).arn if named == ["jobQueue"] else None
        with self._machine.engine() as (engine, now):
            jobs = engine.table.in_queue(queue) if queue else self._children(engine, request.get("arrayJobId"))
            seen = self._interference.sight("ListJobs", jobs, now)
            page, token = select(seen, request if queue else {**request, "filters": None})
            shown = [self._interference.shown("ListJobs", job, summary(job)) for job in page]
            answer: dict[str, Any] = {"jobSummaryList": shown}
        return answer if token is None else {**answer, "nextToken": token}

    def terminate_job(self, request: Json) -> Json:
        """End a job, wherever it is."""
        self._end([_job_id(request)], request, Engine.terminate)
        return {}

    def cancel_job(self, request: Json) -> Json:
        """End a job that has not started."""
        self._end([_job_id(request)], request, Engine.cancel)
        return {}

    def terminate_jobs(self, request: Json) -> Json:
        """End jobs, wherever they are."""
        return self._end_all("TerminateJobs", request, Engine.terminate)

    def cancel_jobs(self, request: Json) -> Json:
        """End those of these jobs that have not started."""
        return self._end_all("CancelJobs", request, Engine.cancel)

    def get_job_queue_snapshot(self, request: Json) -> Json:
        """Show the jobs at the front of a queue."""
        queue = self._queue(request.get("jobQueue")).arn
        with self._machine.engine() as (engine, now):
            waiting = list(engine.waiting.in_order(queue))[:SNAPSHOT_JOBS]
            front = [{"jobArn": self._scope.arn(f"job/{job.id}")} for job in waiting]
        return {"frontOfQueue": {"jobs": front, "lastUpdatedAt": int(now * 1000)}}

    def _end_all(self, operation: str, request: Json, end: End) -> Json:
        """End many jobs; AWS counts those that it does not know as done."""
        ids = limits.check_ids(request.get("jobs"), limits.BULK_JOBS)
        errors = self._bulk_errors(operation, ids)
        self._end([job_id for job_id in ids if job_id not in errors or errors[job_id].done], request, end)
        return {
            "successful": [job_id for job_id in ids if job_id not in errors],
            "errors": [
                {"job": job_id, "code": error.code, "message": BULK_ERRORS[error.code]}
                for job_id, error in errors.items()
            ],
        }

    def _bulk_errors(self, operation: str, ids: list[str]) -> dict[str, BulkError]:
        with self._machine.engine() as (engine, _):
            known = [(job_id, job) for job_id in dict.fromkeys(ids) if (job := self._find(engine, job_id)) is not None]
            asked = [(job_id, self._interference.bulk_error(operation, job)) for job_id, job in known]
        return {job_id: error for job_id, error in asked if error is not None}

    def _end(self, ids: list[str], request: Json, end: End) -> None:
        reason = limits.check_reason(request.get("reason"))
        with self._machine.engine() as (engine, now):
            for job in filter(None, [self._find(engine, job_id) for job_id in ids]):
                end(engine, job, reason, now)

    def _queue(self, identifier: object) -> Queue:
        queue = self._catalogue.queue(identifier) if isinstance(identifier, str) else None
        if queue is None:
            raise ApiError(f"Job queue {identifier} does not exist")
        return queue

    def _definition(self, identifier: object) -> Definition:
        definition = self._catalogue.definition(identifier) if isinstance(identifier, str) else None
        if definition is None:
            raise ApiError(f"Job definition {identifier} does not exist")
        if not definition.active:
            raise limits.refuse(f"Job definition {definition.arn} is not active.")
        return definition

    def _children(self, engine: Engine, job_id: object) -> list[Job]:
        job = self._find(engine, job_id) if isinstance(job_id, str) else None
        return job.children.jobs if job and job.children else []

    def _find(self, engine: Engine, identifier: str) -> Job | None:
        """A job of this account and region by its id or ARN."""
        job = engine.table.get(identifier.rpartition("job/")[2])
        return job if job is not None and job.spec.scope == self._scope else None


def _job_id(request: Json) -> str:
    job_id = request.get("jobId")
    if not isinstance(job_id, str) or not job_id:
        raise ApiError("'jobId' is a required field (cannot be an empty string)")
    return job_id
