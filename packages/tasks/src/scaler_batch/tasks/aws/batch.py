"""The job service on AWS Batch.

boto3 retries what is safe to repeat, with its adaptive mode that slows down when AWS throttles. SubmitJob is not safe
to repeat and goes through a client that never tries twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    SSLError,
)

from scaler_batch.tasks.aws.bridge import THREADS, Bridge
from scaler_batch.tasks.errors import ServiceError
from scaler_batch.tasks.vocabulary import JobReport, JobSpec, JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_batch import BatchClient

DESCRIBE_LIMIT: Final = 100
"""Jobs of one DescribeJobs at most. Source: AWS Batch API reference."""

_TIMEOUTS: Final = {"connect_timeout": 10, "read_timeout": 30}
_THROTTLED: Final = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling", "RequestLimitExceeded"})
_TOO_MANY_REQUESTS: Final = 429
_EXPIRED: Final = frozenset({"ExpiredTokenException", "ExpiredToken", "RequestExpired"})
_UNREACHABLE: Final = (ConnectionError, CredentialRetrievalError, MetadataRetrievalError)
"""AWS itself, or where credentials come from."""


class BatchJobService:
    """AWS Batch in one region.

    Args:
        session: Where credentials come from; boto3 refreshes those that expire.
        region: The region of queue and definition.
    """

    def __init__(self, session: boto3.Session, region: str) -> None:
        self._bridge = Bridge()
        self._client = _client(session, region, {"mode": "adaptive", "total_max_attempts": 5})
        self._submitting = _client(session, region, {"mode": "standard", "total_max_attempts": 1})

    def close(self) -> None:
        """Take no more calls."""
        self._bridge.close()

    async def submit(self, job: JobSpec) -> str:
        """Submit a job and return its id; never tried twice in here."""
        request: dict[str, Any] = {
            "jobName": job.name,
            "jobQueue": job.shape.queue,
            "jobDefinition": job.shape.definition,
            "parameters": job.parameters,
            "timeout": {"attemptDurationSeconds": job.shape.timeout},
        }
        if job.size > 1:
            request["arrayProperties"] = {"size": job.size}
        answer = await self._call(self._submitting.submit_job, **request)
        return str(answer["jobId"])

    async def find(self, name: str, queue: str) -> str | None:
        """Return the id of the job that was submitted under this name, if there is one."""
        # The filter does not tell upper case from lower.
        named = await self._listed(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [name]}])
        return next((str(job["jobId"]) for job in named if job["jobName"] == name), None)

    async def describe(self, job_ids: Sequence[str]) -> dict[str, JobReport]:
        """Report on single jobs and parents of arrays, a hundred a call."""
        reports: dict[str, JobReport] = {}
        for start in range(0, len(job_ids), DESCRIBE_LIMIT):
            chunk = list(job_ids[start : start + DESCRIBE_LIMIT])
            answer = await self._call(self._client.describe_jobs, jobs=chunk)
            reports |= {job["jobId"]: _report(job) for job in answer["jobs"]}
        return reports

    async def failed_children(self, job_id: str) -> list[JobReport]:
        """Report on the children of an array that have failed, a thousand a call."""
        return [_report(job) for job in await self._listed(arrayJobId=job_id, jobStatus="FAILED", maxResults=1000)]

    async def terminate(self, job_id: str, reason: str) -> None:
        """End a job, whatever its state."""
        await self._call(self._client.terminate_job, jobId=job_id, reason=reason)

    async def _listed(self, **request: Any) -> list[Any]:
        """All pages; one may be empty and have another after it."""
        answer = await self._call(self._client.list_jobs, **request)
        jobs = list(answer["jobSummaryList"])
        while answer.get("nextToken"):
            answer = await self._call(self._client.list_jobs, nextToken=answer["nextToken"], **request)
            jobs += answer["jobSummaryList"]
        return jobs

    async def _call(self, method: Callable[..., Any], **request: Any) -> Any:
        try:
            return await self._bridge.call(method, **request)
        except (ClientError, BotoCoreError) as error:
            raise _translated(error) from error


def _client(session: boto3.Session, region: str, retries: dict[str, Any]) -> BatchClient:
    config = Config(retries=retries, max_pool_connections=THREADS, **_TIMEOUTS)  # type: ignore[arg-type]
    client: BatchClient = session.client("batch", region_name=region, config=config)
    return client


def _translated(error: ClientError | BotoCoreError) -> ServiceError:
    if isinstance(error, HTTPClientError | SSLError):
        # Sent, as far as we know, and no answer: it may have had its effect all the same.
        return ServiceError(str(error), retryable=True, ambiguous=True)
    if not isinstance(error, ClientError):
        # Never sent: no connection, no credentials, or a parameter that boto3 refuses.
        return ServiceError(str(error), retryable=isinstance(error, _UNREACHABLE))
    code = error.response["Error"].get("Code", "")
    status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
    failing = status >= 500 or code == "ServerException"
    again = status == _TOO_MANY_REQUESTS or code in _THROTTLED | _EXPIRED
    return ServiceError(str(error), retryable=failing or again, ambiguous=failing)


def _report(job: Any) -> JobReport:
    """Read a job as DescribeJobs and ListJobs show it; the latter leaves most out."""
    array = job.get("arrayProperties") or {}
    container = job.get("container") or {}
    return JobReport(
        job_id=job["jobId"],
        status=JobStatus(job["status"]),
        index=array.get("index"),
        failed_children=(array.get("statusSummary") or {}).get("FAILED", 0),
        attempt=len(job.get("attempts") or ()),
        exit_code=container.get("exitCode"),
        reason=container.get("reason", ""),
        status_reason=job.get("statusReason", ""),
        log_stream=container.get("logStreamName", ""),
    )
