"""The job service on AWS Batch.

boto3 tries nothing twice here. Whoever asks knows what is safe to repeat, and all calls keep to one rate
(:mod:`~scaler_batch.tasks.aws.budget`), which a retry behind its back would break. Credentials that expire are boto3's
affair.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from scaler_batch.tasks.aws.answers import is_throttled, report_of, translated
from scaler_batch.tasks.aws.bridge import THREADS, Bridge
from scaler_batch.tasks.aws.budget import RateSettings, Turnstile
from scaler_batch.tasks.aws.requests import submit_request
from scaler_batch.tasks.errors import ServiceError
from scaler_batch.tasks.vocabulary import JobReport, JobSpec, JobStatus, is_numbered

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_logs import CloudWatchLogsClient

logger = logging.getLogger(__name__)

DESCRIBE_LIMIT: Final = 100
"""Jobs of one DescribeJobs at most. Source: AWS Batch API reference."""

TERMINATE_LIMIT: Final = 50
"""Jobs of one TerminateJobs at most. Source: AWS Batch API reference."""

LOG_RATE: Final = RateSettings(highest=10.0)
"""How fast logs are read: well below CloudWatch's own limit, which an account's other programs share."""

_LOG_PAGES: Final = 3
"""How far to go back: a page may be empty although there are lines before it."""

_CONFIG: Final = Config(
    connect_timeout=10,
    read_timeout=30,
    max_pool_connections=THREADS,
    retries={"mode": "standard", "total_max_attempts": 1},
)
_NO_BULK: Final = frozenset({"AccessDeniedException", "UnknownOperationException", "NotFoundException", "404"})
"""What AWS, or what stands in for it, says of TerminateJobs where there is none for us."""


class BatchJobService:
    """AWS Batch in one region.

    Args:
        session: Where credentials come from; boto3 refreshes those that expire.
        region: The region of queue and definition.
        rate: How fast AWS Batch may be called.
    """

    def __init__(self, session: boto3.Session, region: str, *, rate: RateSettings | None = None) -> None:
        self._bridge = Bridge()
        self._batch: BatchClient = session.client("batch", region_name=region, config=_CONFIG)
        self._logs: CloudWatchLogsClient = session.client("logs", region_name=region, config=_CONFIG)
        self._batch_turn = Turnstile(rate or RateSettings())
        self._logs_turn = Turnstile(LOG_RATE)
        self._calls: Counter[str] = Counter()
        # Newer than the oldest boto3 that this package works with.
        self._has_bulk = hasattr(self._batch, "terminate_jobs")

    def close(self) -> None:
        """Take no more calls."""
        self._bridge.close()

    @property
    def calls(self) -> Mapping[str, int]:
        """How many requests were made, by AWS's name of the operation."""
        return self._calls

    async def submit(self, job: JobSpec) -> str:
        """Submit a job and return its id."""
        answer = await self._call("SubmitJob", **submit_request(job))
        return str(answer["jobId"])

    async def find(self, name: str, queue: str) -> str | None:
        """Return the id of the job that was submitted under this name, if there is one."""
        # The filter does not tell upper case from lower.
        found = await self._listed(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [name]}])
        return next((str(job["jobId"]) for job in found if job["jobName"] == name), None)

    async def named(self, prefix: str, queue: str) -> list[str]:
        """Return the ids of all jobs in a queue that are not over and whose names are ``prefix`` and a number."""
        # With a filter AWS lists jobs of every state, whatever state was asked for.
        found = await self._listed(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [f"{prefix}*"]}])
        return [
            str(job["jobId"])
            for job in found
            if is_numbered(job["jobName"], prefix) and not JobStatus(job["status"]).is_final
        ]

    async def describe(self, job_ids: Sequence[str]) -> dict[str, JobReport]:
        """Report on jobs, a hundred a call."""
        reports: dict[str, JobReport] = {}
        for chunk in _chunks(job_ids, DESCRIBE_LIMIT):
            answer = await self._call("DescribeJobs", jobs=chunk)
            reports |= {job["jobId"]: report_of(job) for job in answer["jobs"]}
        return reports

    async def failed_children(self, job_id: str) -> list[JobReport]:
        """Report on the children of an array that have failed, a thousand a call."""
        return [report_of(job) for job in await self._listed(arrayJobId=job_id, jobStatus="FAILED", maxResults=1000)]

    async def terminate(self, job_id: str, reason: str) -> None:
        """End a job, whatever its state."""
        await self._call("TerminateJob", jobId=job_id, reason=reason)

    async def terminate_many(self, job_ids: Sequence[str], reason: str) -> list[str]:
        """End many jobs, fifty a call, and return the ids of those that could not be ended.

        When AWS fails after some have been ended, all others are returned; asking for them again is safe.

        Raises:
            ServiceError: AWS failed from the start.
        """
        left: list[str] = []
        for number, chunk in enumerate(_chunks(job_ids, TERMINATE_LIMIT)):
            try:
                left += await self._terminate_chunk(chunk, reason)
            except ServiceError:
                if number == 0:
                    raise
                return left + list(job_ids[number * TERMINATE_LIMIT :])
        return left

    async def tail(self, report: JobReport, lines: int) -> tuple[str, ...]:
        """Return the last lines of a job's log; none where there is no log, or none that we may read."""
        if not report.log_stream:
            return ()
        try:
            events = await self._last_events(report, lines)
        except ServiceError as error:
            logger.info("the log of job %s cannot be read: %s", report.job_id, error)
            return ()
        return tuple(event["message"].rstrip("\n") for event in events)

    async def _last_events(self, report: JobReport, lines: int) -> list[Any]:
        request: dict[str, Any] = {"logGroupName": report.log_group, "logStreamName": report.log_stream, "limit": lines}
        for _ in range(_LOG_PAGES):
            answer = await self._call("GetLogEvents", "logs", startFromHead=False, **request)
            if answer["events"] or answer["nextBackwardToken"] == request.get("nextToken"):
                return list(answer["events"])
            request["nextToken"] = answer["nextBackwardToken"]
        return []

    async def _terminate_chunk(self, job_ids: list[str], reason: str) -> list[str]:
        if self._has_bulk:
            try:
                answer = await self._call("TerminateJobs", jobs=job_ids, reason=reason)
            except ServiceError as error:
                if error.retryable:
                    raise
                # One by one, then: AWS may have refused them all for the sake of one.
                self._has_bulk = error.code not in _NO_BULK
            else:
                return [_refused(each["job"], each["message"]) for each in answer["errors"]]
        return [job_id for job_id in job_ids if not await self._could_terminate(job_id, reason)]

    async def _could_terminate(self, job_id: str, reason: str) -> bool:
        try:
            await self.terminate(job_id, reason)
        except ServiceError as error:
            if error.retryable:
                raise
            _refused(job_id, str(error))
            return False
        return True

    async def _listed(self, **request: Any) -> list[Any]:
        """All pages; one may be empty and have another after it."""
        answer = await self._call("ListJobs", **request)
        jobs = list(answer["jobSummaryList"])
        while answer.get("nextToken"):
            answer = await self._call("ListJobs", nextToken=answer["nextToken"], **request)
            jobs += answer["jobSummaryList"]
        return jobs

    async def _call(self, operation: str, service: Literal["batch", "logs"] = "batch", /, **request: Any) -> Any:
        client, turn = (self._batch, self._batch_turn) if service == "batch" else (self._logs, self._logs_turn)
        sent = await turn.enter(operation)
        self._calls[operation] += 1
        try:
            answer = await self._bridge.call(getattr(client, xform_name(operation)), **request)
        except (ClientError, BotoCoreError) as error:
            if is_throttled(error):
                turn.throttled(sent)
            raise translated(error) from error
        turn.served()
        return answer


def _chunks(job_ids: Sequence[str], size: int) -> list[list[str]]:
    return [list(job_ids[start : start + size]) for start in range(0, len(job_ids), size)]


def _refused(job_id: str, why: str) -> str:
    logger.warning("AWS Batch does not end job %s: %s", job_id, why)
    return job_id
