"""The job service on AWS Batch.

boto3 tries nothing twice here. Whoever asks knows what is safe to repeat, and all calls keep to one rate
(:mod:`~scaler_batch.aws.rate`), which a retry behind its back would break.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.aws.bridge import Bridge
from scaler_batch.aws.classification import classify_code
from scaler_batch.aws.errors import Classification, ServiceError
from scaler_batch.aws.limits import DESCRIBE_JOBS, LIST_JOBS, TERMINATE_JOBS
from scaler_batch.aws.logs import LOG_RATE, JobLogs
from scaler_batch.aws.models import JobReport, JobSpec, is_numbered, read_reports, read_status
from scaler_batch.aws.rate import RateSettings
from scaler_batch.aws.requests import submit_request
from scaler_batch.aws.service_client import ServiceClient

if TYPE_CHECKING:
    import boto3

logger = logging.getLogger(__name__)

_NO_BULK: Final = frozenset({"AccessDeniedException", "UnknownOperationException", "NotFoundException", "404"})
"""What AWS, or what stands in for it, says of TerminateJobs where there is none for us."""


class BatchJobService:
    """AWS Batch in one region.

    Args:
        session: Where credentials come from.
        region: The region of queue and definition.
        rate: How fast AWS Batch may be called.

    Attributes:
        logs: What jobs have printed.

    Raises:
        ServiceError: The configuration or the credentials do not allow clients.
    """

    def __init__(self, session: boto3.Session, region: str, *, rate: RateSettings | None = None) -> None:
        self._bridge = bridge = Bridge()
        self._calls: Counter[str] = Counter()
        self._batch = ServiceClient(
            session, "batch", region, rate=rate or RateSettings(), bridge=bridge, calls=self._calls
        )
        self._logs = ServiceClient(session, "logs", region, rate=LOG_RATE, bridge=bridge, calls=self._calls)
        self.logs = JobLogs(self._logs)
        # Newer than the oldest boto3 that this package works with.
        self._has_bulk = hasattr(self._batch.sdk, "terminate_jobs")

    def close(self) -> None:
        """Take no more calls."""
        self._batch.close()
        self._logs.close()
        self._bridge.close()

    @property
    def calls(self) -> Mapping[str, int]:
        """How many requests were made, by AWS's name of the operation."""
        return self._calls

    async def submit(self, job: JobSpec) -> str:
        """Submit a job and return its id."""
        answer = await self._batch.call("SubmitJob", **submit_request(job))
        if not answer.get("jobId"):
            # It was taken under some id, as far as anybody knows: whoever asks looks the name up.
            raise ServiceError(f"SubmitJob's answer on {job.name} names no job", Classification.AMBIGUOUS)
        return str(answer["jobId"])

    async def find(self, name: str, queue: str) -> str | None:
        """Return the id of the job that was submitted under this name, if it is listed.

        A job that was taken a moment ago may not be: ListJobs lags, usually by less than a second.
        """
        # The filter does not tell upper case from lower.
        found = await self._list_jobs(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [name]}])
        return next((str(job["jobId"]) for job in found if job.get("jobName") == name), None)

    async def named(self, prefix: str, queue: str) -> list[str]:
        """Return the ids of all jobs in a queue that are not over and whose names are ``prefix`` and a number."""
        # With a filter AWS lists jobs of every state, whatever state was asked for.
        found = await self._list_jobs(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [f"{prefix}*"]}])
        return [
            str(job["jobId"])
            for job in found
            if is_numbered(job.get("jobName") or "", prefix) and not read_status(job.get("status")).is_final
        ]

    async def describe(self, job_ids: Sequence[str]) -> dict[str, JobReport]:
        """Report on jobs, a hundred a call."""
        reports: dict[str, JobReport] = {}
        for chunk in _chunks(job_ids, DESCRIBE_JOBS):
            reports |= read_reports((await self._batch.call("DescribeJobs", jobs=chunk)).get("jobs") or ())
        return reports

    async def failed_children(self, job_id: str) -> list[JobReport]:
        """Report on the children of an array that have failed, a thousand a call."""
        found = await self._list_jobs(arrayJobId=job_id, jobStatus="FAILED", maxResults=LIST_JOBS)
        return list(read_reports(found).values())

    async def terminate(self, job_id: str, reason: str) -> None:
        """End a job, whatever its state."""
        await self._batch.call("TerminateJob", jobId=job_id, reason=reason)

    async def terminate_many(self, job_ids: Sequence[str], reason: str) -> list[str]:
        """End many jobs, fifty a call, and return the ids of those to try again.

        A job that AWS refuses to end is logged and not returned: trying again does not help it. When AWS fails after
        some have been ended, all others are returned; asking for them again is safe.

        Raises:
            ServiceError: AWS failed from the start.
        """
        again: list[str] = []
        for number, chunk in enumerate(_chunks(job_ids, TERMINATE_JOBS)):
            try:
                again += await self._terminate_chunk(chunk, reason)
            except ServiceError:
                if number == 0:
                    raise
                return again + list(job_ids[number * TERMINATE_JOBS :])
        return again

    async def tail(self, report: JobReport, lines: int) -> tuple[str, ...]:
        """Return the last lines of a job's log; none where there is no log, or none that we may read."""
        return await self.logs.tail(report.log_group, report.log_stream, lines) if report.log_stream else ()

    async def _terminate_chunk(self, job_ids: list[str], reason: str) -> list[str]:
        if self._has_bulk:
            try:
                answer = await self._batch.call("TerminateJobs", jobs=job_ids, reason=reason)
            except ServiceError as error:
                if error.retryable or error.awaits_credentials:
                    raise
                # One by one, then: AWS may have refused them all for the sake of one.
                self._has_bulk = error.code not in _NO_BULK
            else:
                return self._to_try_again(answer.get("errors") or ())
        for job_id in job_ids:
            await self._terminate_unless_refused(job_id, reason)
        return []

    def _to_try_again(self, errors: Any) -> list[str]:
        """Sort what one call says of several jobs: throttled or failed ones are tried again, refused ones are not."""
        again: list[str] = []
        for each in (error for error in errors if error.get("job")):
            classification = classify_code(each.get("code") or "")
            if classification is Classification.FINAL:
                _log_refusal(each["job"], f"{each.get('code')}: {each.get('message')}")
            else:
                again.append(each["job"])
            if classification is Classification.REPEAT:
                self._batch.slow_down()
        return again

    async def _terminate_unless_refused(self, job_id: str, reason: str) -> None:
        try:
            await self.terminate(job_id, reason)
        except ServiceError as error:
            if error.retryable or error.awaits_credentials:
                raise
            _log_refusal(job_id, str(error))

    async def _list_jobs(self, **request: Any) -> list[Any]:
        """All pages; one may be empty and have another after it."""
        answer = await self._batch.call("ListJobs", **request)
        jobs = list(answer.get("jobSummaryList") or ())
        while answer.get("nextToken"):
            answer = await self._batch.call("ListJobs", nextToken=answer["nextToken"], **request)
            jobs += answer.get("jobSummaryList") or ()
        return [job for job in jobs if job.get("jobId")]


def _chunks(job_ids: Sequence[str], size: int) -> list[list[str]]:
    return [list(job_ids[start : start + size]) for start in range(0, len(job_ids), size)]


def _log_refusal(job_id: str, why: str) -> None:
    logger.warning("AWS Batch refuses to end job %s: %s", job_id, why)
